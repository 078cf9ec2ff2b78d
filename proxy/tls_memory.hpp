#pragma once

namespace rotagate::proxy::tls {

/// Has each thread keep a few of the buffers that OpenSSL takes for a record and gives back behind it, so that a
/// connection has none of its own, and what one used is still in the processor's cache for the next. Call it first of
/// all: it does nothing once OpenSSL has taken memory.
void pool_record_buffers();

}  // namespace rotagate::proxy::tls
