// What AMD's key distribution server answers, asked about this platform. Firmware sheet 6.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "platform/platform.hpp"

namespace softsnp::platform {

struct KdsAnswer {
  int status = 200;  // 400, 404: the body is a line about why
  const char* content_type = "text/plain";
  std::string body;
};

// target: path and query as they stand in the request.
KdsAnswer answer_kds(const Platform& platform, std::string_view target);

// Both certificates above a leaf, in PEM: its signer, then the ARK.
std::string certificate_chain(const Platform& platform, Leaf leaf);

// A file for each of the paths, for a server of files. Such a server looks at no query, so that
// leaf certificates are those for the reported TCB, whatever was asked for.
struct MirrorFile {
  std::string path;  // without a slash in front
  std::string contents;
};
std::vector<MirrorFile> kds_mirror(const Platform& platform);

}  // namespace softsnp::platform
