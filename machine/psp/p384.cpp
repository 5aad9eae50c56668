#include "machine/psp/p384.hpp"

#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "machine/psp/kdf.hpp"
#include "machine/psp/openssl_objects.hpp"

namespace softsnp::psp {

namespace {

constexpr int scalar_bytes = 48;

// Only a lack of memory or of the curve can fail here.
template <class T>
T required(T object) {
  if (!object) {
    std::abort();
  }
  return object;
}
void require(int good) {
  if (good != 1) {
    std::abort();
  }
}

BigNumber number() {
  return required(BigNumber(BN_secure_new()));
}
BigNumber from_bytes(std::span<const u8> big_endian) {
  BigNumber value = number();
  required(BN_bin2bn(big_endian.data(), static_cast<int>(big_endian.size()), value.get()));
  return value;
}
P384Scalar to_scalar(const BIGNUM* value) {
  P384Scalar bytes;
  require(BN_bn2binpad(value, bytes.data(), scalar_bytes) == scalar_bytes ? 1 : 0);
  return bytes;
}
void put_le(const BIGNUM* value, u8 (&to)[EcdsaSignature::component_bytes]) {
  require(BN_bn2lebinpad(value, to, sizeof to) == static_cast<int>(sizeof to) ? 1 : 0);
}

// The nonces for a key and a message, one after the other. RFC 6979, 3.2: HMAC_DRBG seeded with
// both. Order and hash have 384 bits, so one HMAC makes one candidate.
class Nonces {
 public:
  Nonces(const P384Scalar& private_key, const P384Scalar& message) {
    std::fill_n(value_.bytes, digest_bytes, u8{1});
    update(0, private_key, message);
    update(1, private_key, message);
  }
  Digest next() {
    if (std::exchange(used_, true)) {
      update(0, {}, {});
    }
    return value_ = hmac_sha384(key_.bytes, value_.bytes);
  }

 private:
  void update(u8 separator, std::span<const u8> a, std::span<const u8> b) {
    std::array<u8, digest_bytes + 1 + 2 * sizeof(P384Scalar)> input{};
    u8* at = std::copy_n(value_.bytes, digest_bytes, input.data());
    *at++ = separator;
    at = std::copy(a.begin(), a.end(), at);
    at = std::copy(b.begin(), b.end(), at);
    key_ = hmac_sha384(key_.bytes, {input.data(), static_cast<usize>(at - input.data())});
    value_ = hmac_sha384(key_.bytes, value_.bytes);
  }

  Digest key_;  // zero
  Digest value_;
  bool used_ = false;
};

}  // namespace

struct P384::Impl {
  Curve curve = required(Curve(EC_GROUP_new_by_curve_name(NID_secp384r1)));
  BigNumberContext context = required(BigNumberContext(BN_CTX_secure_new()));
  const BIGNUM* order = required(EC_GROUP_get0_order(curve.get()));

  Point multiply_base(const BIGNUM* scalar) const {
    Point point = required(Point(EC_POINT_new(curve.get())));
    require(EC_POINT_mul(curve.get(), point.get(), scalar, nullptr, nullptr, context.get()));
    return point;
  }
  // Null if the key is not a point of the curve.
  Point point_of(const EcdsaPublicKey& key) const {
    if (key.curve != EcdsaPublicKey::curve_p384) {
      return nullptr;
    }
    const BigNumber x = required(BigNumber(BN_lebin2bn(key.qx, sizeof key.qx, nullptr)));
    const BigNumber y = required(BigNumber(BN_lebin2bn(key.qy, sizeof key.qy, nullptr)));
    Point point = required(Point(EC_POINT_new(curve.get())));
    // Refuses coordinates beyond the field and points off the curve; leaves its reason behind.
    const bool good = EC_POINT_set_affine_coordinates(curve.get(), point.get(), x.get(), y.get(),
                                                      context.get()) == 1;
    ERR_clear_error();
    return good ? std::move(point) : nullptr;
  }
  // r and s for a nonce; false if the nonce is out of range or gives a zero.
  bool try_sign(const BIGNUM* key, const BIGNUM* message, BIGNUM* nonce, BIGNUM* r,
                BIGNUM* s) const {
    if (BN_is_zero(nonce) || BN_cmp(nonce, order) >= 0) {
      return false;
    }
    BN_set_flags(nonce, BN_FLG_CONSTTIME);
    const Point point = multiply_base(nonce);
    require(EC_POINT_get_affine_coordinates(curve.get(), point.get(), r, nullptr, context.get()));
    require(BN_nnmod(r, r, order, context.get()));
    const BigNumber inverse = number();
    required(BN_mod_inverse(inverse.get(), nonce, order, context.get()));
    require(BN_mod_mul(s, r, key, order, context.get()));
    require(BN_mod_add(s, s, message, order, context.get()));
    require(BN_mod_mul(s, s, inverse.get(), order, context.get()));
    return !BN_is_zero(r) && !BN_is_zero(s);
  }
};

P384::P384() : impl_(std::make_unique<Impl>()) {}
P384::~P384() = default;

P384Scalar P384::reduce(std::span<const u8> random) const {
  const BigNumber value = from_bytes(random);
  const BigNumber modulus = number();
  required(BN_copy(modulus.get(), impl_->order));
  require(BN_sub_word(modulus.get(), 1));
  require(BN_nnmod(value.get(), value.get(), modulus.get(), impl_->context.get()));
  require(BN_add_word(value.get(), 1));
  return to_scalar(value.get());
}

EcdsaPublicKey P384::public_key(const P384Scalar& private_key) const {
  const BigNumber scalar = from_bytes(private_key);
  BN_set_flags(scalar.get(), BN_FLG_CONSTTIME);
  const Point point = impl_->multiply_base(scalar.get());
  const BigNumber x = number();
  const BigNumber y = number();
  require(EC_POINT_get_affine_coordinates(impl_->curve.get(), point.get(), x.get(), y.get(),
                                          impl_->context.get()));
  EcdsaPublicKey key{};
  key.curve = EcdsaPublicKey::curve_p384;
  put_le(x.get(), key.qx);
  put_le(y.get(), key.qy);
  return key;
}

bool P384::on_curve(const EcdsaPublicKey& key) const {
  return impl_->point_of(key) != nullptr;
}

// The curve's order is prime: no point but infinity, which has no coordinates, is of small order.
std::array<u8, 48> P384::shared_x(const P384Scalar& private_key, const EcdsaPublicKey& peer) const {
  const Point point = required(impl_->point_of(peer));
  const BigNumber scalar = from_bytes(private_key);
  BN_set_flags(scalar.get(), BN_FLG_CONSTTIME);
  const Point product = required(Point(EC_POINT_new(impl_->curve.get())));
  require(EC_POINT_mul(impl_->curve.get(), product.get(), nullptr, point.get(), scalar.get(),
                       impl_->context.get()));
  const BigNumber x = number();
  require(EC_POINT_get_affine_coordinates(impl_->curve.get(), product.get(), x.get(), nullptr,
                                          impl_->context.get()));
  return to_scalar(x.get());
}

EcdsaSignature P384::sign(const P384Scalar& private_key, const Digest& digest) const {
  const BigNumber key = from_bytes(private_key);
  BN_set_flags(key.get(), BN_FLG_CONSTTIME);
  const BigNumber message = from_bytes(digest.bytes);
  require(BN_nnmod(message.get(), message.get(), impl_->order, impl_->context.get()));
  const BigNumber r = number();
  const BigNumber s = number();
  Nonces nonces(private_key, to_scalar(message.get()));
  while (!impl_->try_sign(key.get(), message.get(), from_bytes(nonces.next().bytes).get(), r.get(),
                          s.get())) {
  }
  EcdsaSignature signature{};
  put_le(r.get(), signature.r);
  put_le(s.get(), signature.s);
  return signature;
}

}  // namespace softsnp::psp
