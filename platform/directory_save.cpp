#include <optional>

#include "platform/directory.hpp"
#include "platform/directory_files.hpp"
#include "platform/files.hpp"

namespace softsnp::platform {

namespace {

// Writes until the first failure.
class Writer {
 public:
  explicit Writer(std::string directory) : directory_(std::move(directory)) {}

  void put(const char* name, std::string_view contents, Audience audience) {
    if (problem_) {
      return;
    }
    const Done written = write_small_file(directory_ + "/" + name, contents, audience);
    if (!written) {
      problem_ = written.error();
    }
  }
  const std::optional<std::string>& problem() const { return problem_; }

 private:
  std::string directory_;
  std::optional<std::string> problem_;
};

}  // namespace

Result<void, std::string> save(const Platform& platform, const std::string& directory) {
  auto made = DirectoryInTheMaking::beside(directory);
  if (!made) {
    return Failure{made.error()};
  }
  Writer writer(made->path());
  writer.put(settings_file, to_json(platform.settings), Audience::owner_only);
  writer.put(chip_secret_file, to_hex(platform.secrets.chip) + "\n", Audience::owner_only);
  writer.put(hashstick_file, to_hex(platform.secrets.hashstick) + "\n", Audience::owner_only);
  for (const KeyFile& file : key_files) {
    writer.put(file.name, key_to_pem(*(platform.keys.*file.key)), Audience::owner_only);
  }
  for (const CertificateFile& file : certificate_files) {
    writer.put(file.name, to_pem(platform.certificates.*file.der, certificate_label),
               Audience::everybody);
  }
  writer.put(crl_file, to_pem(platform.certificates.crl, crl_label), Audience::everybody);
  if (writer.problem()) {
    return Failure{*writer.problem()};
  }
  return made->publish();
}

}  // namespace softsnp::platform
