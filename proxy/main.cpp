#include "proxy/commands.hpp"
#include "proxy/tls_memory.hpp"

int main(int argc, char** argv) {
    rotagate::proxy::tls::pool_record_buffers();
    return rotagate::proxy::run_command(argc, argv);
}
