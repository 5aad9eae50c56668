#include "guest/runtime/exceptions.hpp"
#include "guest/runtime/start.hpp"
#include "guest/samples/guest_main.hpp"

namespace {
softsnp::guest::ExceptionTables tables;
}

void softsnp_guest_main(const softsnp::u8* boot_params) {
  softsnp::guest::install_exceptions(tables);
  softsnp::guest::guest_main(boot_params);
}
