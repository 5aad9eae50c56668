// Messages to the secure processor that the hypervisor carries but cannot read, alter, replay or
// drop unnoticed. Firmware sheet 4; GHCB sheet 3.6.
#pragma once

#include "arch/psp/guest_message.hpp"
#include "arch/psp/secrets_page.hpp"
#include "base/view.hpp"
#include "guest/runtime/ghcb_client.hpp"

namespace softsnp::guest {

// Pages of the user's. Request, response and certificates are shared; staging is private.
struct MessagePages {
  u8* request;
  GuestPhysical request_at;
  u8* response;
  GuestPhysical response_at;
  u8* staging;
  // Optional; contiguous.
  u8* certificates = nullptr;
  GuestPhysical certificates_at{};
  u32 certificate_pages = 0;
};

// What a call came to; only `done` has a result. Whatever else may have gone wrong (answers that do
// not fit, a firmware or hypervisor error) is a Cause, and it has cost the key: a message must
// never be sealed twice with one number.
enum class MessageEnd : u8 {
  done,
  refused,  // the firmware answered with a STATUS other than 0; the key is as good as before
  certificates_do_not_fit,  // more pages are needed; the message itself was sent without them
};

struct MessageResult {
  MessageEnd end = MessageEnd::done;
  u32 status = 0;             // of `refused`
  u32 certificate_pages = 0;  // of `certificates_do_not_fit`
};

// One key's; all vCPUs that use the same key share one.
class GuestMessenger {
 public:
  // vmpck: 0 to 3, usually the guest's own VMPL. The page's copies of key and counter are used and
  // kept up to date, so that whoever runs after us (a kernel after a firmware) goes on with them.
  GuestMessenger(GhcbClient& client, psp::SecretsPage& secrets, unsigned vmpck,
                 const MessagePages& pages, u32 busy_retries = 60)
      : client_(client),
        secrets_(secrets),
        vmpck_(vmpck),
        pages_(pages),
        busy_retries_(busy_retries) {}

  // False: the key is all zeros, because the loader withheld it or because it was wiped here.
  bool usable() const;

  Checked<MessageResult> report(const psp::ReportRequest& request, psp::AttestationReport& report);
  // Certificates, if they fit, are in the user's pages: not authenticated by anybody.
  Checked<MessageResult> extended_report(const psp::ReportRequest& request,
                                         psp::AttestationReport& report);
  // Message version 1 or, if request.launch_mitigation_vector is not 0, 2.
  Checked<MessageResult> derive_key(const psp::KeyRequest& request, u8 (&key)[0x20]);
  Checked<MessageResult> tsc_info(psp::TscInfoResponse& info);

  // Any other: the payload of the response must have exactly the size of `response`.
  Checked<void> exchange(u8 type, u8 version, ByteView request, View<u8> response);

 private:
  enum class Delivery : u8 { delivered, certificates_do_not_fit };

  u8* key() const { return secrets_.vmpck[vmpck_]; }
  Checked<Delivery> send(u8 type, u8 version, ByteView request, View<u8> response, bool extended,
                         u32* pages_needed);
  void seal(u8 type, u8 version, ByteView payload, u64 sequence);
  Checked<Delivery> deliver(bool extended, u32* pages_needed);
  bool open(u64 sequence, View<u8> payload);
  Checked<MessageResult> ask_report(const psp::ReportRequest& request,
                                    psp::AttestationReport& report, bool extended);
  void wipe_key();

  GhcbClient& client_;
  psp::SecretsPage& secrets_;
  unsigned vmpck_;
  MessagePages pages_;
  u32 busy_retries_;
};

}  // namespace softsnp::guest
