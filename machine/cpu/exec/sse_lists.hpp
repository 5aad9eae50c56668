// SSE instructions that are one computation on registers, by shape. Each list yields the host
// operations (host_x86.hpp) and the decoder's rows. APM volume 4 (26568), chapter 2.
#pragma once

// clang-format off

// X(MNEMONIC, name, bytes of a memory operand): dst = f(dst, src), no MXCSR. Also in MMX form.
#define SOFTSNP_SSE_INTEGER(X)                                                                    \
  X(PADDB, paddb, 16) X(PADDW, paddw, 16) X(PADDD, paddd, 16) X(PADDQ, paddq, 16)                 \
  X(PADDSB, paddsb, 16) X(PADDSW, paddsw, 16) X(PADDUSB, paddusb, 16) X(PADDUSW, paddusw, 16)     \
  X(PSUBB, psubb, 16) X(PSUBW, psubw, 16) X(PSUBD, psubd, 16) X(PSUBQ, psubq, 16)                 \
  X(PSUBSB, psubsb, 16) X(PSUBSW, psubsw, 16) X(PSUBUSB, psubusb, 16) X(PSUBUSW, psubusw, 16)     \
  X(PMULLW, pmullw, 16) X(PMULHW, pmulhw, 16) X(PMULHUW, pmulhuw, 16) X(PMULUDQ, pmuludq, 16)     \
  X(PMADDWD, pmaddwd, 16) X(PSADBW, psadbw, 16) X(PAVGB, pavgb, 16) X(PAVGW, pavgw, 16)           \
  X(PMINUB, pminub, 16) X(PMAXUB, pmaxub, 16) X(PMINSW, pminsw, 16) X(PMAXSW, pmaxsw, 16)         \
  X(PCMPEQB, pcmpeqb, 16) X(PCMPEQW, pcmpeqw, 16) X(PCMPEQD, pcmpeqd, 16)                         \
  X(PCMPGTB, pcmpgtb, 16) X(PCMPGTW, pcmpgtw, 16) X(PCMPGTD, pcmpgtd, 16) X(PAND, pand, 16)       \
  X(PANDN, pandn, 16) X(POR, por, 16) X(PXOR, pxor, 16) X(PACKSSWB, packsswb, 16)                 \
  X(PACKSSDW, packssdw, 16) X(PACKUSWB, packuswb, 16) X(PUNPCKHBW, punpckhbw, 16)                 \
  X(PUNPCKHWD, punpckhwd, 16) X(PUNPCKHDQ, punpckhdq, 16) X(PUNPCKHQDQ, punpckhqdq, 16)           \
  X(PSHUFB, pshufb, 16) X(PHADDW, phaddw, 16) X(PHADDD, phaddd, 16) X(PHADDSW, phaddsw, 16)       \
  X(PHSUBW, phsubw, 16) X(PHSUBD, phsubd, 16) X(PHSUBSW, phsubsw, 16)                             \
  X(PMADDUBSW, pmaddubsw, 16) X(PMULHRSW, pmulhrsw, 16) X(PSIGNB, psignb, 16)                     \
  X(PSIGNW, psignw, 16) X(PSIGND, psignd, 16) X(PABSB, pabsb, 16) X(PABSW, pabsw, 16)             \
  X(PABSD, pabsd, 16)

// The same shape; only the low half of the source counts, and a 16-byte operand in memory is read
// by half (seen on a Zen 5 where MXCSR.MM lets it cross into a page that is absent).
#define SOFTSNP_SSE_LOW_HALF(X)                                                                   \
  X(PSLLW, psllw, 8) X(PSLLD, pslld, 8) X(PSLLQ, psllq, 8) X(PSRLW, psrlw, 8)                     \
  X(PSRLD, psrld, 8) X(PSRLQ, psrlq, 8) X(PSRAW, psraw, 8) X(PSRAD, psrad, 8)                     \
  X(PUNPCKLBW, punpcklbw, 8) X(PUNPCKLWD, punpcklwd, 8) X(PUNPCKLDQ, punpckldq, 8)                \
  X(PUNPCKLQDQ, punpcklqdq, 8) X(UNPCKLPS, unpcklps, 8) X(UNPCKLPD, unpcklpd, 8)

// The same shape; logic and shuffles on floats, approximations, and what MMX never had.
#define SOFTSNP_SSE_LOGIC(X)                                                                      \
  X(ANDPS, andps, 16) X(ANDPD, andpd, 16) X(ANDNPS, andnps, 16) X(ANDNPD, andnpd, 16)             \
  X(ORPS, orps, 16) X(ORPD, orpd, 16) X(XORPS, xorps, 16) X(XORPD, xorpd, 16)                     \
  X(UNPCKHPS, unpckhps, 16) X(UNPCKHPD, unpckhpd, 16) X(MOVSLDUP, movsldup, 16)                   \
  X(MOVSHDUP, movshdup, 16) X(MOVDDUP, movddup, 8) X(RCPPS, rcpps, 16) X(RSQRTPS, rsqrtps, 16)    \
  X(RCPSS, rcpss, 4) X(RSQRTSS, rsqrtss, 4) X(PACKUSDW, packusdw, 16) X(PCMPEQQ, pcmpeqq, 16)     \
  X(PCMPGTQ, pcmpgtq, 16) X(PMINSB, pminsb, 16) X(PMINSD, pminsd, 16) X(PMINUW, pminuw, 16)       \
  X(PMINUD, pminud, 16) X(PMAXSB, pmaxsb, 16) X(PMAXSD, pmaxsd, 16) X(PMAXUW, pmaxuw, 16)         \
  X(PMAXUD, pmaxud, 16) X(PMULLD, pmulld, 16) X(PMULDQ, pmuldq, 16)                               \
  X(PHMINPOSUW, phminposuw, 16) X(PMOVSXBW, pmovsxbw, 8) X(PMOVZXBW, pmovzxbw, 8)                 \
  X(PMOVSXBD, pmovsxbd, 4) X(PMOVZXBD, pmovzxbd, 4) X(PMOVSXBQ, pmovsxbq, 2)                      \
  X(PMOVZXBQ, pmovzxbq, 2) X(PMOVSXWD, pmovsxwd, 8) X(PMOVZXWD, pmovzxwd, 8)                      \
  X(PMOVSXWQ, pmovsxwq, 4) X(PMOVZXWQ, pmovzxwq, 4) X(PMOVSXDQ, pmovsxdq, 8)                      \
  X(PMOVZXDQ, pmovzxdq, 8) X(AESENC, aesenc, 16) X(AESENCLAST, aesenclast, 16)                    \
  X(AESDEC, aesdec, 16) X(AESDECLAST, aesdeclast, 16) X(AESIMC, aesimc, 16)

// dst = f(dst, src, XMM0).
#define SOFTSNP_SSE_BLEND(X)                                                                      \
  X(PBLENDVB, pblendvb, 16) X(BLENDVPS, blendvps, 16) X(BLENDVPD, blendvpd, 16)

// X(MNEMONIC, name, bytes, imm8 bits that matter): dst = f(dst, src, imm8).
#define SOFTSNP_SSE_IMMEDIATE(X)                                                                  \
  X(SHUFPS, shufps, 16, 255) X(SHUFPD, shufpd, 16, 3) X(PSHUFD, pshufd, 16, 255)                  \
  X(PSHUFHW, pshufhw, 16, 255) X(PSHUFLW, pshuflw, 16, 255) X(PALIGNR, palignr, 16, 255)          \
  X(PBLENDW, pblendw, 16, 255) X(BLENDPS, blendps, 16, 15) X(BLENDPD, blendpd, 16, 3)             \
  X(MPSADBW, mpsadbw, 16, 7) X(PCLMULQDQ, pclmulqdq, 16, 17)                                      \
  X(AESKEYGENASSIST, aeskeygenassist, 16, 255) X(INSERTPS, insertps, 4, 255)

// X(MNEMONIC, name, bytes, arithmetic, bits, count): dst = f(dst, src) under MXCSR. arithmetic, and
// bits and count of the result's elements: if they can leave their format's range.
#define SOFTSNP_SSE_FP(X)                                                                         \
  X(ADDPS, addps, 16, sum, 32, 4) X(ADDPD, addpd, 16, sum, 64, 2)                                 \
  X(ADDSS, addss, 4, sum, 32, 1) X(ADDSD, addsd, 8, sum, 64, 1) X(SUBPS, subps, 16, sum, 32, 4)   \
  X(SUBPD, subpd, 16, sum, 64, 2) X(SUBSS, subss, 4, sum, 32, 1) X(SUBSD, subsd, 8, sum, 64, 1)   \
  X(MULPS, mulps, 16, product, 32, 4) X(MULPD, mulpd, 16, product, 64, 2)                         \
  X(MULSS, mulss, 4, product, 32, 1) X(MULSD, mulsd, 8, product, 64, 1)                           \
  X(DIVPS, divps, 16, quotient, 32, 4) X(DIVPD, divpd, 16, quotient, 64, 2)                       \
  X(DIVSS, divss, 4, quotient, 32, 1) X(DIVSD, divsd, 8, quotient, 64, 1)                         \
  X(MINPS, minps, 16, none, 0, 0) X(MINPD, minpd, 16, none, 0, 0)                                 \
  X(MINSS, minss, 4, none, 0, 0) X(MINSD, minsd, 8, none, 0, 0) X(MAXPS, maxps, 16, none, 0, 0)   \
  X(MAXPD, maxpd, 16, none, 0, 0) X(MAXSS, maxss, 4, none, 0, 0) X(MAXSD, maxsd, 8, none, 0, 0)   \
  X(SQRTPS, sqrtps, 16, none, 0, 0) X(SQRTPD, sqrtpd, 16, none, 0, 0)                             \
  X(SQRTSS, sqrtss, 4, none, 0, 0) X(SQRTSD, sqrtsd, 8, none, 0, 0)                               \
  X(HADDPS, haddps, 16, horizontal_sum, 32, 4) X(HADDPD, haddpd, 16, horizontal_sum, 64, 2)       \
  X(HSUBPS, hsubps, 16, horizontal_sum, 32, 4) X(HSUBPD, hsubpd, 16, horizontal_sum, 64, 2)       \
  X(ADDSUBPS, addsubps, 16, sum, 32, 4) X(ADDSUBPD, addsubpd, 16, sum, 64, 2)                     \
  X(CVTDQ2PS, cvtdq2ps, 16, none, 0, 0) X(CVTPS2DQ, cvtps2dq, 16, none, 0, 0)                     \
  X(CVTTPS2DQ, cvttps2dq, 16, none, 0, 0) X(CVTPS2PD, cvtps2pd, 8, none, 0, 0)                    \
  X(CVTPD2DQ, cvtpd2dq, 16, none, 0, 0) X(CVTTPD2DQ, cvttpd2dq, 16, none, 0, 0)                   \
  X(CVTDQ2PD, cvtdq2pd, 8, none, 0, 0) X(CVTSS2SD, cvtss2sd, 4, none, 0, 0)                       \
  X(CVTPD2PS, cvtpd2ps, 16, narrowing, 32, 2) X(CVTSD2SS, cvtsd2ss, 8, narrowing, 32, 1)

// X(MNEMONIC, name, bytes, imm8 bits that matter): the same with an imm8; none leaves its range.
#define SOFTSNP_SSE_FP_IMMEDIATE(X)                                                               \
  X(CMPPS, cmpps, 16, 7) X(CMPPD, cmppd, 16, 7) X(CMPSS, cmpss, 4, 7) X(CMPSD, cmpsd, 8, 7)       \
  X(ROUNDPS, roundps, 16, 15) X(ROUNDPD, roundpd, 16, 15) X(ROUNDSS, roundss, 4, 15)              \
  X(ROUNDSD, roundsd, 8, 15)

// Dot products, which round several times.
#define SOFTSNP_SSE_DOT(X)                                                                        \
  X(DPPS, dpps, 16, 255) X(DPPD, dppd, 16, 51)

// X(MNEMONIC, name, bytes): scalar to a general register, 32 and 64 bits.
#define SOFTSNP_SSE_TO_INTEGER(X)                                                                 \
  X(CVTSS2SI, cvtss2si, 4) X(CVTTSS2SI, cvttss2si, 4) X(CVTSD2SI, cvtsd2si, 8)                    \
  X(CVTTSD2SI, cvttsd2si, 8)

// X(MNEMONIC, name): scalar from a general register or memory, 32 and 64 bits.
#define SOFTSNP_SSE_FROM_INTEGER(X)                                                               \
  X(CVTSI2SS, cvtsi2ss) X(CVTSI2SD, cvtsi2sd)

// X(MNEMONIC, name, bytes): compare scalars into ZF, PF, CF.
#define SOFTSNP_SSE_COMPARE(X)                                                                    \
  X(COMISS, comiss, 4) X(UCOMISS, ucomiss, 4) X(COMISD, comisd, 8) X(UCOMISD, ucomisd, 8)

// X(MNEMONIC, name): SSE4.2 strings.
#define SOFTSNP_SSE_STRING(X)                                                                     \
  X(PCMPESTRI, pcmpestri) X(PCMPESTRM, pcmpestrm) X(PCMPISTRI, pcmpistri)                         \
  X(PCMPISTRM, pcmpistrm)

// clang-format on
