// Certificates out of files of every form, and which of them become a chain.
#include "attest/credentials.hpp"

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <cstring>

#include "attest/certificate_table.hpp"
#include "attest/text.hpp"
#include "tests/attest/table.hpp"
#include "tests/attest/test_chain.hpp"

namespace softsnp::attest::test {
namespace {

std::string pem(const char* label, const Bytes& der) {
  const MemoryHandle memory(BIO_new(BIO_s_mem()));
  EXPECT_GT(PEM_write_bio(memory.get(), label, "", der.data(), static_cast<long>(der.size())), 0);
  char* text = nullptr;
  const long length = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<usize>(length)};
}

Bytes bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

class CredentialFiles : public testing::Test {
 protected:
  TestChain chain = make_chain({});
  Credentials credentials;

  std::string add(const Bytes& file, const std::string& name = "f") {
    const auto added = add_credentials(credentials, name, file);
    return added ? "" : added.error();
  }
  std::string chosen(psp::SigningKey key = psp::SigningKey::vcek) {
    const auto found = choose_chain(credentials, key);
    return found ? found->ark.common_name() + " " + found->ask.common_name() + " " +
                       found->leaf.common_name()
                 : found.error();
  }
};

TEST_F(CredentialFiles, DerPemAndBundles) {
  EXPECT_EQ(add(chain.leaf), "");
  EXPECT_EQ(
      add(bytes("words before\n" + pem("CERTIFICATE", chain.ask) + pem("CERTIFICATE", chain.ark))),
      "");
  EXPECT_EQ(chosen(), "ARK-Genoa SEV-Genoa SEV-VCEK");
}

TEST_F(CredentialFiles, TheSameCertificateTwiceIsOne) {
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(add(chain.ark) + add(bytes(pem("CERTIFICATE", chain.ask))) + add(chain.leaf), "");
  }
  EXPECT_EQ(add(certificate_table({{table_guid::vcek, chain.leaf}})), "");
  EXPECT_EQ(chosen(), "ARK-Genoa SEV-Genoa SEV-VCEK");
}

TEST_F(CredentialFiles, RevocationLists) {
  const Bytes list = make_revocation_list({"ARK-Genoa", authority_keys().ark.get(), {}});
  EXPECT_EQ(add(list) + add(bytes(pem("X509 CRL", list))) +
                add(certificate_table({{table_guid::crl, list}})),
            "");
  EXPECT_EQ(credentials.revocations.size(), 3u);
}

TEST_F(CredentialFiles, AnArkFromTheHostIsNotTrusted) {
  EXPECT_EQ(add(certificate_table({{table_guid::vcek, chain.leaf},
                                   {table_guid::ask, chain.ask},
                                   {table_guid::ark, chain.ark}}),
                "aux"),
            "");
  EXPECT_EQ(
      chosen(),
      "aux: the ARK in a certificate table comes from the host and cannot be trusted: give the "
      "one you trust as a certificate");
  EXPECT_EQ(add(chain.ark), "");
  EXPECT_EQ(chosen(), "ARK-Genoa SEV-Genoa SEV-VCEK");
}

TEST_F(CredentialFiles, OfSeveralProductsTheOneThatIsNamed) {
  ChainSpec other;
  other.product = psp::Product::milan;
  const TestChain milan = make_chain(other);
  EXPECT_EQ(add(milan.ark) + add(milan.ask) + add(chain.ark) + add(chain.ask) + add(chain.leaf),
            "");
  EXPECT_EQ(chosen(), "ARK-Genoa SEV-Genoa SEV-VCEK");
  EXPECT_EQ(add(milan.leaf, "milan"), "");
  EXPECT_EQ(chosen(), "milan: another VCEK certificate than the one in f: which is meant?");
}

TEST_F(CredentialFiles, TheKindOfKeyChoosesTheLeaf) {
  ChainSpec spec;
  spec.vlek = true;
  const TestChain vlek = make_chain(spec);
  EXPECT_EQ(add(vlek.ark) + add(vlek.ask) + add(vlek.leaf) + add(chain.ask) + add(chain.leaf), "");
  EXPECT_EQ(chosen(psp::SigningKey::vlek), "ARK-Genoa SEV-VLEK-Genoa SEV-VLEK");
  EXPECT_EQ(chosen(psp::SigningKey::vcek), "ARK-Genoa SEV-Genoa SEV-VCEK");
}

TEST_F(CredentialFiles, WhatIsMissingIsSaid) {
  EXPECT_EQ(chosen(), "no VCEK or VLEK certificate was given");
  EXPECT_EQ(add(chain.leaf), "");
  EXPECT_EQ(chosen(), "f: its issuer's certificate (ASK) was not given");
  EXPECT_EQ(add(chain.ask), "");
  EXPECT_EQ(chosen(), "f: its issuer's certificate (ARK) was not given");
}

TEST_F(CredentialFiles, WhatIsNoCertificateIsRefused) {
  EXPECT_EQ(add(bytes(pem("PRIVATE KEY", chain.leaf))),
            "f: PEM: expected blocks CERTIFICATE or X509 CRL");
  EXPECT_EQ(add(bytes("-----BEGIN CERTIFICATE-----\nAAAA\n")), "f: PEM: malformed");
  EXPECT_EQ(add(bytes(pem("CERTIFICATE", {1, 2, 3}))), "f: certificate: expected X.509 in DER");
  EXPECT_EQ(add({0x30, 0x82, 1, 1}),
            "f: expected an X.509 certificate or revocation list in PEM or DER");
  Bytes behind = chain.leaf;
  behind.push_back(0);
  EXPECT_NE(add(behind), "");
  CertificateSpec spec = leaf_spec({}, chain.leaf_key.get());
  spec.subject = "somebody";
  EXPECT_NE(add(make_certificate(spec)).find("expected the common name"), std::string::npos);
}

TEST(CertificateTable, StaysWithinTheFile) {
  const auto error = [](const Bytes& file) {
    const auto table = read_certificate_table("t", file);
    return table ? std::to_string(table->size()) : table.error();
  };
  const Bytes good = certificate_table({{table_guid::vcek, {1, 2}}, {table_guid::ask, {3}}});
  EXPECT_EQ(error(good), "2");
  EXPECT_EQ(error(Bytes(24)), "0");
  EXPECT_EQ(error(Bytes(23)), "t: certificate table: ends without an entry of zeros");
  EXPECT_EQ(error({good.begin(), good.begin() + 48}),
            "t: certificate table: ends without an entry of zeros");
  EXPECT_EQ(error({good.begin(), good.end() - 1}),
            "t: certificate table: entry 1: 1 bytes at 0x4a do not lie between 0x48 and 0x4a");
  const auto with = [&good](usize at, u32 value) {
    Bytes file = good;
    std::memcpy(&file[at], &value, sizeof value);
    return file;
  };
  EXPECT_NE(error(with(16, 0x47)), "2") << "in the header";
  EXPECT_NE(error(with(16, 0xFFFFFFFF)), "2");
  EXPECT_NE(error(with(20, 0xFFFFFFFF)), "2");
  EXPECT_NE(error(with(20, 0)), "2");
  EXPECT_EQ(error(certificate_table({{table_guid::ask, {1}}, {table_guid::ask, {2}}})),
            "t: certificate table: entry 1 has the GUID of another");
}

// The GUIDs as the sheet writes them (4.5).
TEST(CertificateTable, Guids) {
  EXPECT_EQ(hex_text(table_guid::vcek), "63da758de6644564adc5f4b93be8accd");
  EXPECT_EQ(hex_text(table_guid::vlek), "a8074bc2a25a483eaae639c045a0b8a1");
  EXPECT_EQ(hex_text(table_guid::ask), "4ab7b379bbac4fe4a02f05aef327c782");
  EXPECT_EQ(hex_text(table_guid::ark), "c0b406a4a803495297433fb6014cd0ae");
  EXPECT_EQ(hex_text(table_guid::crl), "92f81bc358114d3d97ffd19f88dc67ea");
}

}  // namespace
}  // namespace softsnp::attest::test
