#include "cli/credential_files.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "cli/file.hpp"

namespace softsnp::cli {
namespace {

using Done = Result<void, std::string>;

constexpr u64 largest_file = u64{1} << 20;

Done add_file(attest::Credentials& credentials, const std::string& path) {
  const auto bytes = read_file(path, largest_file);
  return bytes ? attest::add_credentials(credentials, path, *bytes) : Done(Failure{bytes.error()});
}

// By name, so that other files may lie there too.
Done add_directory(attest::Credentials& credentials, const std::string& directory) {
  static constexpr const char* names[] = {"ark",  "ask",        "asvk", "vcek",
                                          "vlek", "cert_chain", "crl"};
  static constexpr const char* endings[] = {".pem", ".der", ".crt", ".cer"};
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory, ignored)) {
    return Failure{directory + ": is no directory"};
  }
  bool found = false;
  for (const char* const name : names) {
    for (const char* const ending : endings) {
      const std::string path = directory + "/" + name + ending;
      if (!std::filesystem::exists(path, ignored)) {
        continue;
      }
      found = true;
      if (Done done = add_file(credentials, path); !done) {
        return done;
      }
    }
  }
  return found ? Done()
               : Done(Failure{directory + ": has no ark.pem, ask.pem, vcek.pem or the like"});
}

}  // namespace

Result<attest::Credentials, std::string> read_credentials(const ReportOptions& options) {
  attest::Credentials credentials;
  if (!options.certificates.empty()) {
    if (const Done done = add_directory(credentials, options.certificates); !done) {
      return Failure{done.error()};
    }
  }
  for (const auto* const files : {&options.chain, &options.revocations}) {
    for (const std::string& path : *files) {
      const usize before = credentials.revocations.size();
      if (const Done done = add_file(credentials, path); !done) {
        return Failure{done.error()};
      }
      if (files == &options.revocations && credentials.revocations.size() == before) {
        return Failure{path + ": expected a revocation list (--crl)"};
      }
    }
  }
  return credentials;
}

}  // namespace softsnp::cli
