// ID block and ID authentication information as files hold them. Firmware sheet 5.4.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "arch/psp/id_block.hpp"
#include "base/result.hpp"

namespace softsnp::attest {

// 0x60 and 0x1000 bytes. One line about another size, algorithm or curve, or about bytes that must
// be zero.
Result<psp::IdBlock, std::string> read_id_block(const std::string& name, std::span<const u8> file);
Result<psp::IdAuth, std::string> read_id_auth(const std::string& name, std::span<const u8> file);

// As the report names a key.
psp::Digest key_digest(const psp::EcdsaPublicKey& key);

// Whose signatures do not verify: a line each.
std::vector<std::string> signature_problems(const psp::IdBlock& block, const psp::IdAuth& auth);

}  // namespace softsnp::attest
