// The files of a platform directory.
#pragma once

#include "platform/platform.hpp"

namespace softsnp::platform {

inline constexpr const char* settings_file = "platform.json";
inline constexpr const char* chip_secret_file = "chip.secret";
inline constexpr const char* hashstick_file = "vlek.hashstick";

struct KeyFile {
  const char* name;
  Key RootKeys::*key;
};
inline constexpr KeyFile key_files[] = {
    {"ark.key", &RootKeys::ark}, {"ask.key", &RootKeys::ask}, {"asvk.key", &RootKeys::asvk}};

struct CertificateFile {
  const char* name;
  Der Certificates::*der;
  Der Certificates::*issuer;
  Key RootKeys::*key;  // whose certificate it is; null: a leaf
};
inline constexpr CertificateFile certificate_files[] = {
    {"ark.pem", &Certificates::ark, &Certificates::ark, &RootKeys::ark},
    {"ask.pem", &Certificates::ask, &Certificates::ark, &RootKeys::ask},
    {"asvk.pem", &Certificates::asvk, &Certificates::ark, &RootKeys::asvk},
    {"vcek.pem", &Certificates::vcek, &Certificates::ask, nullptr},
    {"vlek.pem", &Certificates::vlek, &Certificates::asvk, nullptr}};
inline constexpr const char* crl_file = "crl.pem";

}  // namespace softsnp::platform
