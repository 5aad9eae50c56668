#include "platform/export.hpp"

#include <optional>

#include "platform/certificate_table.hpp"
#include "platform/files.hpp"
#include "platform/kds.hpp"

namespace softsnp::platform {

namespace {

std::vector<MirrorFile> all_files(const Platform& platform) {
  std::vector<MirrorFile> files;
  const auto add = [&files](const std::string& path, std::span<const u8> bytes) {
    files.push_back({path, std::string(as_text(bytes))});
  };
  const Certificates& certificates = platform.certificates;
  const auto add_both = [&](const std::string& name, const Der& der, const char* label) {
    add(name + ".der", der);
    files.push_back({name + ".pem", to_pem(der, label)});
  };
  add_both("ark", certificates.ark, certificate_label);
  add_both("ask", certificates.ask, certificate_label);
  add_both("asvk", certificates.asvk, certificate_label);
  add_both("vcek", certificates.vcek, certificate_label);
  add_both("vlek", certificates.vlek, certificate_label);
  add_both("crl", certificates.crl, crl_label);
  const psp::TcbComponents& tcb = platform.settings.reported_tcb;
  add("certs.bin", certificate_table(platform, Leaf::vcek, tcb));
  add("certs-vlek.bin", certificate_table(platform, Leaf::vlek, tcb));
  for (MirrorFile& file : kds_mirror(platform)) {
    files.push_back({"kds/" + file.path, std::move(file.contents)});
  }
  return files;
}

// With the directories on the way to it.
Done write_below(const std::string& root, const MirrorFile& file) {
  for (usize slash = file.path.find('/'); slash != file.path.npos;
       slash = file.path.find('/', slash + 1)) {
    Done made = make_directory(root + "/" + file.path.substr(0, slash), Audience::everybody);
    if (!made) {
      return made;
    }
  }
  return write_small_file(root + "/" + file.path, file.contents, Audience::everybody);
}

}  // namespace

Result<void, std::string> export_certificates(const Platform& platform,
                                              const std::string& directory) {
  if (Done made = make_directory(directory, Audience::everybody); !made) {
    return made;
  }
  for (const MirrorFile& file : all_files(platform)) {
    if (Done written = write_below(directory, file); !written) {
      return written;
    }
  }
  return {};
}

}  // namespace softsnp::platform
