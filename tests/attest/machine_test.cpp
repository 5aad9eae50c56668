// What attest computes from a plan is what the machine's firmware measures when the plan is
// launched; what attest signs is what that firmware accepts.
#include "machine/machine.hpp"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "attest/id_block.hpp"
#include "attest/launch_digest.hpp"
#include "attest/text.hpp"
#include "machine/psp/id_block.hpp"
#include "machine/psp/sha384.hpp"
#include "tests/image/samples.hpp"
#include "vmm/cpuid_table.hpp"
#include "vmm/launch.hpp"

namespace softsnp::attest::test {
namespace {

class DigestWatch final : public psp::Observer {
 public:
  void launch_finished(const psp::LaunchFinished& event) override { digest = event.launch_digest; }
  psp::Digest digest;
};

psp::Digest launched(image::Inputs inputs, psp::Product product = psp::Product::genoa) {
  DigestWatch watch;
  machine::Machine machine(
      machine::Config{u64{1} << 30, 0, product, 1, {nullptr, &watch, nullptr}});
  const auto kvm = kvm::make_kvm(machine.port());
  inputs.cpuid = vmm::cpuid_page_entries(kvm->supported_cpuid(kvm::VmType::snp));
  const auto plan = image::build(inputs);
  const auto vm = vmm::launch(*kvm, {}, plan.value(), nullptr);
  EXPECT_TRUE(vm.ok()) << (vm ? "" : vm.error().text);
  return watch.digest;
}

psp::Digest measured(const image::Inputs& inputs) {
  return measure(image::build(inputs).value());
}

TEST(MachineAgrees, EveryFormat) {
  namespace samples = image::samples;
  for (const std::vector<u8>& kernel :
       {samples::bzimage(), samples::elf64(), samples::multiboot_addresses(),
        samples::multiboot_elf32(), samples::multiboot_elf64()}) {
    const image::Inputs inputs = samples::inputs(kernel);
    EXPECT_EQ(hex_text(measured(inputs).bytes), hex_text(launched(inputs).bytes));
  }
}

TEST(MachineAgrees, WithInitrdMoreVcpusAndOtherProducts) {
  const std::vector<u8> kernel = image::samples::bzimage();
  const std::vector<u8> initrd(0x12345, 0x5A);
  image::Inputs inputs = image::samples::inputs(kernel);
  inputs.initrd = {"initrd", initrd};
  inputs.vcpu_count = 3;
  for (const auto product : {psp::Product::milan, psp::Product::genoa, psp::Product::turin}) {
    EXPECT_EQ(measured(inputs), launched(inputs, product));
  }
}

TEST(PlanDigest, EveryInputCounts) {
  std::vector<u8> kernel = image::samples::bzimage();
  std::vector<u8> initrd(0x2345, 0x5A);
  image::Inputs inputs = image::samples::inputs(kernel);
  inputs.initrd = {"initrd", initrd};
  const psp::Digest before = measured(inputs);
  EXPECT_EQ(measured(inputs), before);
  const auto changed = [&](u8& byte) {
    byte ^= 1;
    const psp::Digest digest = measured(inputs);
    byte ^= 1;
    return !(digest == before);
  };
  EXPECT_TRUE(changed(kernel[0xA00 + 0x1000]));
  EXPECT_TRUE(changed(initrd[0]));
  EXPECT_TRUE(changed(initrd.back()));
  inputs.append[0] ^= 1;
  EXPECT_NE(measured(inputs), before);
  inputs.append[0] ^= 1;
  inputs.memory_size += page_size;
  EXPECT_NE(measured(inputs), before);
  inputs.memory_size -= page_size;
  inputs.vcpu_count = 2;
  EXPECT_NE(measured(inputs), before);
  inputs.vcpu_count = 1;
  inputs.cpuid.pop_back();
  EXPECT_EQ(measured(inputs), before) << "the CPUID page's contents are not measured";
}

TEST(PlanDigest, PermissionsAndEntryStateCount) {
  const std::vector<u8> kernel = image::samples::elf64();
  image::LaunchPlan plan = image::build(image::samples::inputs(kernel)).value();
  const psp::Digest before = measure(plan);
  plan.regions[1].vmpl_permissions[2] = 1;
  EXPECT_NE(measure(plan), before);
  plan.regions[1].vmpl_permissions[2] = 0;
  plan.entry_state.rsi ^= 8;
  EXPECT_NE(measure(plan), before);
  plan.entry_state.rsi ^= 8;
  plan.entry_state.guest_tsc_scale = 1;  // the firmware's to set
  EXPECT_EQ(measure(plan), before);
}

// A new key in PEM, as openssl writes it.
std::string new_key(const char* type, const char* group, const char* password = nullptr) {
  EVP_PKEY* key = group != nullptr ? EVP_PKEY_Q_keygen(nullptr, nullptr, type, group)
                                   : EVP_PKEY_Q_keygen(nullptr, nullptr, type);
  BIO* memory = BIO_new(BIO_s_mem());
  PEM_write_bio_PKCS8PrivateKey(memory, key, password != nullptr ? EVP_aes_256_cbc() : nullptr,
                                password, password != nullptr ? 4 : 0, nullptr, nullptr);
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory, &text);
  std::string pem(text, static_cast<usize>(size));
  BIO_free(memory);
  EVP_PKEY_free(key);
  return pem;
}

Result<SigningKey, std::string> load(const std::string& pem) {
  return SigningKey::from_pem("key.pem", {reinterpret_cast<const u8*>(pem.data()), pem.size()});
}

TEST(IdBlock, FirmwareAcceptsWhatIsSigned) {
  const auto id_key = load(new_key("EC", "P-384"));
  const auto author_key = load(new_key("EC", "P-384"));
  ASSERT_TRUE(id_key.ok() && author_key.ok());
  psp::Digest digest;
  digest.bytes[5] = 7;
  IdBlockFields fields;
  fields.family_id[0] = 1;
  fields.image_id[15] = 2;
  fields.guest_svn = 3;
  fields.policy = 0x30000;
  const psp::IdBlock block = make_id_block(digest, fields);
  EXPECT_EQ(block.version, 1u);
  const auto both = sign_id_block(block, *id_key, &*author_key);
  const auto one = sign_id_block(block, *id_key, nullptr);
  ASSERT_TRUE(both && one);
  const auto status = [&](const psp::IdBlock& of, const psp::IdAuth& auth, bool author) {
    return psp::check_id_block(of, auth, author, digest, 0x30000).status;
  };
  EXPECT_EQ(status(block, *both, true), psp::Status::success);
  EXPECT_EQ(status(block, *one, false), psp::Status::success);
  EXPECT_EQ(status(block, *one, true), psp::Status::invalid_param);
  psp::IdBlock changed = block;
  changed.guest_svn = 4;
  EXPECT_EQ(status(changed, *both, true), psp::Status::bad_signature);
  psp::Sha384 sha;
  EXPECT_EQ(psp::key_digest(sha, both->id_key), psp::key_digest(sha, id_key->public_key()));
}

TEST(IdBlock, OtherKeysAreRefused) {
  EXPECT_EQ(load("no key").error(), "key.pem: private key: expected PEM without a password");
  EXPECT_EQ(load(new_key("EC", "P-384", "word")).error(),
            "key.pem: private key: expected PEM without a password");
  const std::string curve = "key.pem: private key: expected elliptic curve P-384 (secp384r1)";
  EXPECT_EQ(load(new_key("EC", "P-256")).error(), curve);
  EXPECT_EQ(load(new_key("ED25519", nullptr)).error(), curve);
}

TEST(Text, HexAndBase64) {
  const std::vector<u8> bytes = {0, 0x12, 0xAB, 0xFF};
  EXPECT_EQ(hex_text(bytes), "0012abff");
  EXPECT_EQ(base64_text(bytes), "ABKr/w==");
  EXPECT_EQ(base64_text({}), "");
  EXPECT_EQ(parse_hex_bytes("0012ABff", 4), bytes);
  EXPECT_EQ(parse_hex_bytes("0x0012abff", 4), bytes);
  EXPECT_FALSE(parse_hex_bytes("0012abff", 3));
  EXPECT_FALSE(parse_hex_bytes("0012abfg", 4));
}

}  // namespace
}  // namespace softsnp::attest::test
