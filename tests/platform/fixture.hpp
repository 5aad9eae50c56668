// Platforms made once for all tests: RSA keys take seconds.
#pragma once

#include <gtest/gtest.h>
#include <openssl/asn1.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "platform/platform.hpp"
#include "platform/product.hpp"

namespace softsnp::platform {

using psp::Product;
using psp::TcbComponents;

inline Key another_owner(const Key& key) {
  EVP_PKEY_up_ref(key.get());
  return Key(key.get());
}
inline RootKeys another_owner(const RootKeys& keys) {
  return {another_owner(keys.ark), another_owner(keys.ask), another_owner(keys.asvk)};
}
inline RootKeys test_keys() {
  static const RootKeys keys = generate_root_keys();
  return another_owner(keys);
}
inline Key another_key() {
  static const Key key(EVP_RSA_gen(4096u));
  return another_owner(key);
}

inline constexpr Seconds test_start = 1'767'225'600;  // 2026-01-01T00:00:00Z

inline Settings test_settings(Product product) {
  Settings settings;
  settings.product = product;
  for (usize at = 0; at < hardware_id_bytes(product); ++at) {
    settings.chip_id[at] = static_cast<u8>(0xA0 + at);
  }
  // A level above 7F, which DER writes in two bytes.
  settings.tcb = {product == Product::turin ? u8{2} : u8{0}, 9, 1, 0x16, 0xD5};
  settings.committed_tcb = settings.reported_tcb = settings.tcb;
  settings.csp_id = "Test Cloud";
  settings.valid_from = test_start;
  return settings;
}
inline Secrets test_secrets() {
  Secrets secrets;
  secrets.chip.fill(0x31);
  for (usize at = 0; at < secrets.hashstick.size(); ++at) {
    secrets.hashstick[at] = static_cast<u8>(at * 7);
  }
  return secrets;
}
inline Platform make_test_platform(Product product) {
  return make_platform(test_settings(product), test_secrets(), test_keys());
}
inline const Platform& test_platform(Product product) {
  static const std::array<Platform, 3> all = {make_test_platform(Product::milan),
                                              make_test_platform(Product::genoa),
                                              make_test_platform(Product::turin)};
  return all[static_cast<usize>(product)];
}
inline constexpr Product all_products[] = {Product::milan, Product::genoa, Product::turin};

// An empty directory, gone with what is in it at the end of the scope.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "softsnp-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct CommandResult {
  int status = -1;
  std::string output;  // both streams
};
// Runs a shell command.
inline CommandResult run_command(const std::string& command) {
  CommandResult result;
  FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::array<char, 4096> part;
  while (const usize got = std::fread(part.data(), 1, part.size(), pipe)) {
    result.output.append(part.data(), got);
  }
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

}  // namespace softsnp::platform
