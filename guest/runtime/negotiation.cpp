#include "guest/runtime/negotiation.hpp"

namespace softsnp::guest {

Checked<Protocol> negotiate(MsrProtocol& msr, const Needs& needs) {
  const auto range = msr.versions();
  if (!range) {
    return fail(range.error());
  }
  if (range->lowest > ghcb::protocol_version_max || range->highest < needs.lowest_version) {
    return fail(Cause::version_not_supported);
  }
  Protocol protocol;
  protocol.version =
      range->highest < ghcb::protocol_version_max ? range->highest : ghcb::protocol_version_max;
  if (protocol.version >= 2) {
    const auto features = msr.features();
    if (!features) {
      return fail(features.error());
    }
    protocol.features = *features;
  }
  if (!protocol.has(needs.features)) {
    return fail(Cause::features_missing);
  }
  return protocol;
}

}  // namespace softsnp::guest
