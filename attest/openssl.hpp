// libcrypto's objects, freed at the end of their scope.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>

namespace softsnp::attest {

template <auto free_function>
struct OpensslFree {
  template <class T>
  void operator()(T* object) const {
    free_function(object);
  }
};
template <class T, auto free_function>
using OpensslHandle = std::unique_ptr<T, OpensslFree<free_function>>;

using KeyHandle = OpensslHandle<EVP_PKEY, EVP_PKEY_free>;
using NumberHandle = OpensslHandle<BIGNUM, BN_free>;
using MemoryHandle = OpensslHandle<BIO, BIO_free>;
using DigestHandle = OpensslHandle<EVP_MD_CTX, EVP_MD_CTX_free>;
using EcdsaHandle = OpensslHandle<ECDSA_SIG, ECDSA_SIG_free>;
using X509Handle = OpensslHandle<X509, X509_free>;
using CrlHandle = OpensslHandle<X509_CRL, X509_CRL_free>;

}  // namespace softsnp::attest
