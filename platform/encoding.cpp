#include "platform/encoding.hpp"

#include <openssl/pem.h>

namespace softsnp::platform {

namespace {

int digit(char letter) {
  if (letter >= '0' && letter <= '9') {
    return letter - '0';
  }
  if (letter >= 'a' && letter <= 'f') {
    return letter - 'a' + 10;
  }
  return letter >= 'A' && letter <= 'F' ? letter - 'A' + 10 : -1;
}

template <class Owner, class T>
Owner parse(std::span<const u8> der, T* (*d2i)(T**, const u8**, long)) {
  const u8* at = der.data();
  Owner object(d2i(nullptr, &at, static_cast<long>(der.size())));
  return at == der.data() + der.size() ? std::move(object) : nullptr;
}

struct PemBlock {
  PemBlock() = default;
  PemBlock(const PemBlock&) = delete;
  PemBlock& operator=(const PemBlock&) = delete;
  ~PemBlock() {
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
  }
  char* name = nullptr;
  char* header = nullptr;
  u8* data = nullptr;
  long length = 0;
};

}  // namespace

std::string to_hex(std::span<const u8> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const u8 byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::optional<std::vector<u8>> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return std::nullopt;
  }
  std::vector<u8> bytes;
  bytes.reserve(text.size() / 2);
  for (usize at = 0; at < text.size(); at += 2) {
    const int high = digit(text[at]);
    const int low = digit(text[at + 1]);
    if (high < 0 || low < 0) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<u8>(high << 4 | low));
  }
  return bytes;
}

std::string to_pem(std::span<const u8> der, const char* label) {
  const Bio memory(required(BIO_new(BIO_s_mem())));
  require(PEM_write_bio(memory.get(), label, "", der.data(), static_cast<long>(der.size())) > 0);
  char* text = nullptr;
  const long length = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<usize>(length)};
}

std::optional<Der> from_pem(std::string_view text, std::string_view label) {
  const Bio memory(required(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))));
  PemBlock block;
  if (PEM_read_bio(memory.get(), &block.name, &block.header, &block.data, &block.length) != 1 ||
      block.name != label) {
    return std::nullopt;
  }
  PemBlock second;
  if (PEM_read_bio(memory.get(), &second.name, &second.header, &second.data, &second.length) == 1) {
    return std::nullopt;
  }
  return Der(block.data, block.data + block.length);
}

Certificate parse_certificate(std::span<const u8> der) {
  return parse<Certificate>(der, d2i_X509);
}
RevocationList parse_crl(std::span<const u8> der) {
  return parse<RevocationList>(der, d2i_X509_CRL);
}

}  // namespace softsnp::platform
