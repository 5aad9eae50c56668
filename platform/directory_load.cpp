#include <fmt/format.h>
#include <openssl/err.h>

#include <algorithm>
#include <optional>

#include "platform/directory.hpp"
#include "platform/directory_files.hpp"
#include "platform/files.hpp"
#include "platform/profile.hpp"

namespace softsnp::platform {

namespace {

// Files of one directory, read and written until the first failure.
class Reader {
 public:
  explicit Reader(std::string directory) : directory_(std::move(directory)) {}

  std::optional<std::string> text(const char* name, Audience audience) {
    if (problem_) {
      return std::nullopt;
    }
    auto contents = read_small_file(path(name), audience);
    if (!contents) {
      problem_ = contents.error();
      return std::nullopt;
    }
    return std::move(*contents);
  }
  void complain(const char* name, std::string_view text) {
    if (!problem_) {
      problem_ = fmt::format("{}: {}", path(name), text);
    }
  }
  const std::optional<std::string>& problem() const { return problem_; }

 private:
  std::string path(const char* name) const { return directory_ + "/" + name; }

  std::string directory_;
  std::optional<std::string> problem_;
};

void read_settings(Reader& reader, Settings& settings) {
  const auto text = reader.text(settings_file, Audience::owner_only);
  if (!text) {
    return;
  }
  auto parsed = settings_from_json(*text);
  if (!parsed) {
    return reader.complain(settings_file, parsed.error());
  }
  settings = std::move(*parsed);
}

// Hexadecimal digits and a line's end.
void read_secret(Reader& reader, const char* name, std::span<u8> secret) {
  auto text = reader.text(name, Audience::owner_only);
  if (!text) {
    return;
  }
  if (!text->empty() && text->back() == '\n') {
    text->pop_back();
  }
  const auto bytes = from_hex(*text);
  if (!bytes || bytes->size() != secret.size()) {
    return reader.complain(name, fmt::format("expected {} hexadecimal digits", 2 * secret.size()));
  }
  std::copy(bytes->begin(), bytes->end(), secret.begin());
}

void read_keys(Reader& reader, RootKeys& keys) {
  for (const KeyFile& file : key_files) {
    const auto pem = reader.text(file.name, Audience::owner_only);
    if (!pem) {
      return;
    }
    keys.*file.key = key_from_pem(*pem);
    if (!(keys.*file.key)) {
      return reader.complain(file.name, "expected an RSA-4096 private key in PEM, not encrypted");
    }
  }
}

std::optional<Der> read_pem(Reader& reader, const char* name, const char* label) {
  const auto text = reader.text(name, Audience::everybody);
  if (!text) {
    return std::nullopt;
  }
  auto der = from_pem(*text, label);
  if (!der) {
    reader.complain(name, fmt::format("expected one PEM block '{}'", label));
  }
  return der;
}

void read_certificate(Reader& reader, const CertificateFile& file, Platform& platform) {
  auto der = read_pem(reader, file.name, certificate_label);
  if (!der) {
    return;
  }
  platform.certificates.*file.der = std::move(*der);
  const Certificate certificate = parse_certificate(platform.certificates.*file.der);
  const Certificate issuer = parse_certificate(platform.certificates.*file.issuer);
  EVP_PKEY* const key = certificate ? X509_get0_pubkey(certificate.get()) : nullptr;
  if (key == nullptr || !issuer) {
    return reader.complain(file.name, "expected an X.509 certificate");
  }
  if (file.key != nullptr && !same_key(*key, *(platform.keys.*file.key))) {
    return reader.complain(file.name, "is not of the key beside it");
  }
  if (X509_verify(certificate.get(), X509_get0_pubkey(issuer.get())) != 1) {
    return reader.complain(file.name, "is not signed by the authority beside it");
  }
}

// All certificates say what settings and keys say, so that nobody is misled by one that was
// changed.
void compare_with_settings(Reader& reader, const Platform& platform) {
  const Settings& settings = platform.settings;
  const Profile profile(settings, platform.keys, Profile::Output::tbs);
  const auto leaf = [&](Leaf which) {
    const psp::TcbComponents& tcb = settings.reported_tcb;
    return profile.leaf(which, tcb, *leaf_public_key(settings, platform.secrets, which, tcb));
  };
  const Der expected[] = {profile.ark(), profile.ask(), profile.asvk(), leaf(Leaf::vcek),
                          leaf(Leaf::vlek)};
  static_assert(std::size(expected) == std::size(certificate_files));
  for (usize at = 0; at < std::size(expected); ++at) {
    const CertificateFile& file = certificate_files[at];
    if (tbs_of(*parse_certificate(platform.certificates.*file.der)) != expected[at]) {
      return reader.complain(file.name, "does not fit platform.json and the secrets beside it");
    }
  }
}

void read_certificates(Reader& reader, Platform& platform) {
  for (const CertificateFile& file : certificate_files) {
    read_certificate(reader, file, platform);
    if (reader.problem()) {
      return;
    }
  }
  compare_with_settings(reader, platform);
  auto crl = read_pem(reader, crl_file, crl_label);
  if (!crl) {
    return;
  }
  const RevocationList list = parse_crl(*crl);
  if (!list || X509_CRL_verify(list.get(), platform.keys.ark.get()) != 1) {
    return reader.complain(crl_file, "expected a CRL signed by the ARK");
  }
  platform.certificates.crl = std::move(*crl);
}

}  // namespace

Result<Platform, std::string> load(const std::string& directory) {
  if (const Done checked = check_private_directory(directory); !checked) {
    return Failure{checked.error()};
  }
  Reader reader(directory);
  Platform platform;
  read_settings(reader, platform.settings);
  read_secret(reader, chip_secret_file, platform.secrets.chip);
  read_secret(reader, hashstick_file, platform.secrets.hashstick);
  read_keys(reader, platform.keys);
  if (!reader.problem()) {
    read_certificates(reader, platform);
  }
  ERR_clear_error();
  if (reader.problem()) {
    return Failure{*reader.problem()};
  }
  return std::move(platform);
}

}  // namespace softsnp::platform
