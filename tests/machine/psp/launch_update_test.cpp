// SNP_LAUNCH_UPDATE: contents, RMP transitions, VMSA, secrets and CPUID pages (firmware sheet 1.6,
// 3.1).
#include <cstring>

#include "arch/psp/cpuid_page.hpp"
#include "arch/psp/secrets_page.hpp"
#include "machine/psp/launch_digest.hpp"
#include "machine/psp/vmsa_protection.hpp"
#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {
namespace {

using memory::PageState;
using LaunchUpdateTest = PspTest;

constexpr memory::KeyId guest_key = memory::KeyId{5};

TEST_F(LaunchUpdateTest, page_becomes_guest_valid_with_permissions) {
  begin_launch();
  make_pre_guest(page, 0x7000);
  change_entry(page, [](snp::RmpEntry& entry) {
    entry.set_permissions(Vmpl::vmpl0, 0xFF);
    entry.set_locked(true);
  });
  auto update = update_command(PageType::unmeasured, page);
  update.vmpl_permissions[0] = 1;
  update.vmpl_permissions[1] = 3;
  update.vmpl_permissions[2] = 7;
  ASSERT_EQ(run(Command::snp_launch_update, update), Status::success);
  EXPECT_EQ(state_of(page), PageState::guest_valid);
  const snp::RmpEntry entry = rmp.entry(page);
  EXPECT_FALSE(entry.locked());
  EXPECT_FALSE(entry.vmsa());
  EXPECT_EQ(entry.gpa(), GuestPhysical(0x7000));
  EXPECT_EQ(entry.asid(), asid);
  EXPECT_EQ(entry.high, 0x070301FFu) << "VMPL0 untouched";
  EXPECT_EQ(run(Command::snp_launch_update, update), Status::invalid_page_state);
}

TEST_F(LaunchUpdateTest, a_2m_page_moves_whole) {
  begin_launch();
  make_pre_guest(page, 0x200000, PageSize::size_2m);
  ASSERT_EQ(launch_update(PageType::zero, page, PageSize::size_2m), Status::success);
  EXPECT_EQ(state_of(page), PageState::guest_valid);
  EXPECT_EQ(state_of(page + 0x1FF000), PageState::guest_valid);
  EXPECT_EQ(rmp.entry(page).size(), PageSize::size_2m);
  EXPECT_EQ(rmp.entry(page + page_size).low, 1u) << "tails hold Assigned only";
  EXPECT_EQ(rmp.assigned_pages(asid), 512u);
}

TEST_F(LaunchUpdateTest, special_pages_are_4k) {
  begin_launch();
  make_pre_guest(page, 0x200000, PageSize::size_2m);
  for (const PageType type : {PageType::vmsa, PageType::secrets, PageType::cpuid}) {
    EXPECT_EQ(launch_update(type, page, PageSize::size_2m), Status::invalid_page_size);
  }
  for (const u8 type : {u8{0}, u8{7}}) {
    EXPECT_EQ(launch_update(static_cast<PageType>(type), page, PageSize::size_2m),
              Status::invalid_param);
  }
  EXPECT_EQ(state_of(page), PageState::pre_guest);
}

TEST_F(LaunchUpdateTest, contents_by_type) {
  begin_launch();
  std::vector<u8> data(page_size);
  for (usize at = 0; at < data.size(); ++at) {
    data[at] = static_cast<u8>(at * 7);
  }
  SystemPhysical at = page;
  for (const PageType type : {PageType::normal, PageType::unmeasured, PageType::zero}) {
    dram.write(at, memory::KeyId::none, data);
    make_pre_guest(at, 0x1000);
    ASSERT_EQ(launch_update(type, at), Status::success);
    EXPECT_EQ(page_bytes(at, guest_key),
              type == PageType::zero ? std::vector<u8>(page_size) : data);
    EXPECT_NE(page_bytes(at), page_bytes(at, guest_key)) << "encrypted on the bus";
    at = at + page_size;
  }
}

TEST_F(LaunchUpdateTest, imi_rules) {
  init_and_flush();
  create_context();
  auto start = start_command();
  start.flags = SnpLaunchStart::imi_en;
  ASSERT_EQ(run(Command::snp_launch_start, start), Status::success);
  ASSERT_EQ(activate(), Status::success);
  make_pre_guest(page, 0x1000);
  EXPECT_EQ(launch_update(PageType::zero, page), Status::invalid_param);
  auto update = update_command(PageType::zero, page);
  update.flags |= SnpLaunchUpdate::imi_page;
  ASSERT_EQ(run(Command::snp_launch_update, update), Status::success);
  EXPECT_NE(guest().imi_digest, Digest{});
  EXPECT_EQ(guest().imi_digest, guest().launch_digest);
  EXPECT_EQ(launch_finish(), Status::invalid_guest_state) << "IMIEn";
  change_state([](PspState& state) { state.guests.at(context).imi_en = false; });
  make_pre_guest(other, 0x2000);
  const Digest before = guest().imi_digest;
  ASSERT_EQ(launch_update(PageType::zero, other), Status::success);
  EXPECT_EQ(guest().imi_digest, before);
  EXPECT_NE(guest().launch_digest, before);
  EXPECT_EQ(launch_finish(), Status::success);
}

class VmsaTest : public PspTest {
 protected:
  svm::Vmsa launch(const svm::Vmsa& vmsa) {
    put(page, vmsa);
    make_pre_guest(page, 0xFFFFFFFFF000);
    EXPECT_EQ(launch_update(PageType::vmsa, page), Status::success);
    return get<svm::Vmsa>(page, guest_key);
  }
};

TEST_F(VmsaTest, checksum_fields) {
  begin_launch();
  svm::Vmsa vmsa = qemu_vmsa(0xFFFFFFF0, 0xA10F10, 1);
  vmsa.reserved_380 = 5;
  vmsa.guest_tsc_offset = 77;
  const svm::Vmsa after = launch(vmsa);
  EXPECT_TRUE(rmp.entry(page).vmsa());
  EXPECT_EQ(state_of(page), PageState::guest_valid);
  vmsa.reserved_380 = 0;
  vmsa.checksum_address = ~u64{0};
  EXPECT_EQ(std::memcmp(after.raw, vmsa.raw, sizeof vmsa.raw), 0) << "nothing else changes";
}

TEST_F(VmsaTest, secure_tsc) {
  begin_launch();
  svm::Vmsa vmsa = qemu_vmsa(0xFFFFFFF0, 0xA10F10, 1 | bit(9));
  vmsa.guest_tsc_offset = 77;
  const svm::Vmsa after = launch(vmsa);
  // 2000000 / 99800 in 8.32, rounded up
  EXPECT_EQ(after.guest_tsc_scale, (u64{2000000} << 32) / 99800 + 1);
  EXPECT_EQ(after.guest_tsc_offset, 0u);
}

TEST_F(VmsaTest, tsc_scale_rounds_up) {
  EXPECT_EQ(tsc_scale(99800, 99800), u64{1} << 32);
  EXPECT_EQ(tsc_scale(1, 3), 0x55555556u);
  EXPECT_EQ(tsc_scale(5, 0), 0u);
  EXPECT_EQ(tsc_scale(0xFFFFFFFF, 1) >> 40, 0u);
}

TEST_F(VmsaTest, register_protection) {
  begin_launch();
  svm::Vmsa vmsa = qemu_vmsa(0xFFFFFFF0, 0xA10F10, 1 | bit(14));
  vmsa.rsp = 0x1111;
  const svm::Vmsa after = launch(vmsa);
  const u64 nonce = after.reg_prot_nonce;
  EXPECT_NE(nonce, 0u);
  EXPECT_EQ(after.rip, vmsa.rip ^ nonce);
  EXPECT_EQ(after.rsp, vmsa.rsp ^ nonce);
  EXPECT_EQ(after.rdx, vmsa.rdx ^ nonce);
  EXPECT_EQ(after.r15, nonce);
  EXPECT_EQ(after.secure_avic_ctl, 0u) << "320h is not covered";
  EXPECT_EQ(after.rflags, vmsa.rflags);
  EXPECT_EQ(after.sev_features, vmsa.sev_features);
  EXPECT_EQ(load_le<u64>(after.raw + 0xFB8), nonce);
  EXPECT_EQ(load_le<u64>(after.raw + 0xFC0), 0u);
  // Measured as given.
  Sha384 sha;
  MeasuredPage measured;
  measured.type = PageType::vmsa;
  measured.gpa = GuestPhysical(0xFFFFFFFFF000);
  EXPECT_EQ(guest().launch_digest, extend_digest(sha, {}, vmsa_contents(sha, vmsa), measured));
}

TEST(VmsaTweak, bitmap_covers_what_the_sheet_names) {
  const auto named = [](unsigned at) {
    return at == 0x178 || at == 0x1D8 || at == 0x1F8 || at == 0x308 || at == 0x310 || at == 0x318 ||
           (at >= 0x328 && at < 0x380) || (at >= 0x420 && at < 0x670) ||
           (at >= 0x980 && at < 0xFC0);
  };
  for (unsigned quadword = 0; quadword < 512; ++quadword) {
    EXPECT_EQ(genoa_tweak_bitmap.covers(quadword), named(quadword * 8)) << std::hex << quadword * 8;
  }
  EXPECT_EQ(to_hex(genoa_tweak_bitmap.bytes),
            "0000000000800088"
            "00000000eeff0000"
            "f0ffffffffffffff"
            "ff3f000000000000"
            "000000000000ffff"
            "ffffffffffffffff"
            "ffffffffffffffff"
            "ffffffffffffff00");
}

TEST_F(LaunchUpdateTest, secrets_page) {
  init_and_flush();
  create_context();
  auto start = start_command();
  for (u8 at = 0; at < 16; ++at) {
    start.gosvw[at] = static_cast<u8>(0xA0 + at);
  }
  ASSERT_EQ(run(Command::snp_launch_start, start), Status::success);
  ASSERT_EQ(activate(), Status::success);
  dram.write(page, memory::KeyId::none, std::vector<u8>(page_size, 0xEE));
  make_pre_guest(page, 0x4000);
  ASSERT_EQ(launch_update(PageType::secrets, page), Status::success);
  const std::vector<u8> bytes = page_bytes(page, guest_key);
  std::vector<u8> expected(page_size);
  expected[0] = 3;
  store_le(expected.data() + 0x008, u32{0x00A10F11});
  std::copy_n(start.gosvw, 16, expected.begin() + 0x010);
  for (unsigned vmpl = 0; vmpl < 4; ++vmpl) {
    std::copy_n(guest().vmpck[vmpl].begin(), 32, expected.begin() + 0x020 + 0x20 * vmpl);
  }
  std::copy_n(genoa_tweak_bitmap.bytes, 64, expected.begin() + 0x100);
  expected[0x160] = 0xC8;
  EXPECT_EQ(bytes, expected);
}

TEST_F(LaunchUpdateTest, cpuid_page_is_accepted_or_corrected) {
  begin_launch();
  CpuidPage cpuid{};
  cpuid.count = 2;
  cpuid.entries[0] = {0x0, 0, 0, 0, 0xD, 1, 2, 3, 0};
  cpuid.entries[1] = {0x40000000, 0, 0, 0, 1, 2, 3, 4, 0};
  make_pre_guest(page, 0x5000);
  const Digest before = guest().launch_digest;

  CpuidPage bad = cpuid;
  bad.entries[0].eax = 0x20;
  put(page, bad);
  EXPECT_EQ(launch_update(PageType::cpuid, page), Status::invalid_param);
  EXPECT_EQ(get<CpuidPage>(page).entries[0].eax, 0x10u) << "corrected, in plaintext";
  EXPECT_EQ(get<CpuidPage>(page).entries[1].eax, 1u);
  EXPECT_EQ(state_of(page), PageState::pre_guest);
  EXPECT_EQ(guest().launch_digest, before);

  bad = cpuid;
  bad.count = 65;
  bad.entries[0].eax = 0x20;
  put(page, bad);
  EXPECT_EQ(launch_update(PageType::cpuid, page), Status::invalid_param);
  EXPECT_EQ(get<CpuidPage>(page).entries[0].eax, 0x20u) << "a bad header is not corrected";

  put(page, cpuid);
  ASSERT_EQ(launch_update(PageType::cpuid, page), Status::success);
  EXPECT_EQ(get<CpuidPage>(page, guest_key).entries[0], cpuid.entries[0]);
  EXPECT_NE(get<CpuidPage>(page).entries[0], cpuid.entries[0]);
  EXPECT_NE(guest().launch_digest, before);
}

TEST_F(LaunchUpdateTest, a_page_of_another_guest) {
  begin_launch();
  make_pre_guest(page, 0x1000, PageSize::size_4k, Asid{6});
  EXPECT_EQ(launch_update(PageType::zero, page), Status::invalid_page_owner);
  ASSERT_EQ(launch_finish(), Status::success);
  make_pre_guest(other, 0x1000);
  EXPECT_EQ(launch_update(PageType::zero, other), Status::invalid_guest_state);
}

}  // namespace
}  // namespace softsnp::psp
