#include "attest/id_block_files.hpp"

#include <fmt/format.h>

#include "attest/ecdsa.hpp"
#include "attest/report.hpp"
#include "attest/sha.hpp"
#include "base/bytes.hpp"

namespace softsnp::attest {
namespace {

using psp::EcdsaPublicKey;
using psp::IdAuth;
using psp::IdBlock;
using Done = Result<void, std::string>;

template <class T>
std::span<const u8> as_bytes(const T& value) {
  return {reinterpret_cast<const u8*>(&value), sizeof value};
}

template <class T>
Result<T, std::string> read_whole(const std::string& name, std::span<const u8> file,
                                  const char* what) {
  if (file.size() != sizeof(T)) {
    return Failure{
        fmt::format("{}: {}: expected {} bytes, got {}", name, what, sizeof(T), file.size())};
  }
  return load_le<T>(file.data());
}

bool has_author_key(const IdAuth& auth) {
  return !is_zero(as_bytes(auth.author_key));
}

Done check_algorithm(const std::string& name, const char* field, u32 value) {
  if (value != IdAuth::algorithm_ecdsa_p384_sha384) {
    return Failure{
        fmt::format("{}: {}: expected 1 (ECDSA P-384 with SHA-384), got {}", name, field, value)};
  }
  return {};
}

Done check_key(const std::string& name, const char* field, const EcdsaPublicKey& key) {
  if (key.curve != EcdsaPublicKey::curve_p384) {
    return Failure{fmt::format("{}: {} curve: expected 2 (P-384), got {}", name, field, key.curve)};
  }
  if (!is_zero(key.reserved)) {
    return Failure{fmt::format("{}: {}: expected zeros behind the coordinates", name, field)};
  }
  return {};
}

Done check_zero(const std::string& name, const char* field, std::span<const u8> bytes) {
  return is_zero(bytes) ? Done()
                        : Done(Failure{fmt::format("{}: {}: expected zeros", name, field)});
}

Done check_author(const std::string& name, const IdAuth& auth) {
  if (!has_author_key(auth)) {
    return check_zero(name, "ID_KEY_SIG without AUTHOR_KEY", as_bytes(auth.id_key_signature));
  }
  Done done = check_algorithm(name, "AUTH_KEY_ALGO", auth.author_key_algorithm);
  return done ? check_key(name, "AUTHOR_KEY", auth.author_key) : done;
}

}  // namespace

Result<IdBlock, std::string> read_id_block(const std::string& name, std::span<const u8> file) {
  auto block = read_whole<IdBlock>(name, file, "ID block");
  if (block && block->version != 1) {
    return Failure{fmt::format("{}: VERSION: expected 1, got {}", name, block->version)};
  }
  return block;
}

Result<IdAuth, std::string> read_id_auth(const std::string& name, std::span<const u8> file) {
  auto auth = read_whole<IdAuth>(name, file, "ID authentication information");
  if (!auth) {
    return auth;
  }
  for (const Done& done : {check_algorithm(name, "ID_KEY_ALGO", auth->id_key_algorithm),
                           check_key(name, "ID_KEY", auth->id_key), check_author(name, *auth),
                           check_zero(name, "bytes 008 to 03F", auth->reserved_008),
                           check_zero(name, "bytes 644 to 67F", auth->reserved_644),
                           check_zero(name, "bytes C84 to FFF", auth->reserved_c84)}) {
    if (!done) {
      return Failure{done.error()};
    }
  }
  return auth;
}

psp::Digest key_digest(const EcdsaPublicKey& key) {
  return Sha384()(as_bytes(key));
}

std::vector<std::string> signature_problems(const IdBlock& block, const IdAuth& auth) {
  std::vector<std::string> problems;
  if (!verify_ecdsa(auth.id_key, as_bytes(block), auth.id_block_signature)) {
    problems.emplace_back("ID_BLOCK_SIG over the ID block does not verify with ID_KEY");
  }
  if (has_author_key(auth) &&
      !verify_ecdsa(auth.author_key, as_bytes(auth.id_key), auth.id_key_signature)) {
    problems.emplace_back("ID_KEY_SIG over ID_KEY does not verify with AUTHOR_KEY");
  }
  return problems;
}

}  // namespace softsnp::attest
