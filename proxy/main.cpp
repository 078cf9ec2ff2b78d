#include "proxy/commands.hpp"

int main(int argc, char** argv) { return rotagate::proxy::run_command(argc, argv); }
