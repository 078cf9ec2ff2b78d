#include "bench/commands.hpp"

int main(int argc, char** argv) { return rotagate::bench::run_command(argc, argv); }
