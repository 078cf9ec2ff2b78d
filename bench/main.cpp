#include "bench/commands.hpp"
#include "proxy/descriptor.hpp"
#include "proxy/tls_memory.hpp"

int main(int argc, char** argv) {
    rotagate::proxy::raise_descriptor_limit();
    rotagate::proxy::tls::pool_record_buffers();
    return rotagate::bench::run_command(argc, argv);
}
