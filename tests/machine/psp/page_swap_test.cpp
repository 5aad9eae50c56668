// SNP_PAGE_MOVE, SNP_PAGE_MD_INIT, SNP_PAGE_SWAP_OUT, SNP_PAGE_SWAP_IN. Firmware sheet 1.6,
// hardware sheet 3.3.
#include <openssl/evp.h>

#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {
namespace {

using memory::key_of;
using memory::PageState;

class PageSwapTest : public PspTest {
 protected:
  static constexpr SystemPhysical metadata{0x9000};
  static constexpr SystemPhysical cipher{0xA000};  // a firmware page for what goes out
  static constexpr u64 gpa = 0x5000;

  static std::vector<u8> text(u8 first = 1) {
    std::vector<u8> bytes(page_size);
    for (usize at = 0; at < bytes.size(); ++at) {
      bytes[at] = static_cast<u8>(first + at * 5);
    }
    return bytes;
  }
  void start(u64 policy = default_policy) {
    begin_launch(policy);
    make_firmware(metadata);
    make_firmware(cipher);
    ASSERT_EQ(md_init(), Status::success);
  }
  Status md_init(SystemPhysical at = metadata) {
    return run(Command::snp_page_md_init, SnpPageMdInit{context.value(), at.value()});
  }
  // A validated page of the guest with text in it, made PRE_SWAP as the host does it.
  void make_pre_swap(SystemPhysical at, u64 where = gpa, u8 first = 1, bool vmsa = false) {
    make_pre_guest(at, where);
    change_entry(at, [vmsa](snp::RmpEntry& entry) {
      entry.set_validated(true);
      entry.set_vmsa(vmsa);
      entry.set_permissions(Vmpl::vmpl1, 3);
    });
    ASSERT_EQ(state_of(at), PageState::pre_swap);
    dram.write(at, key_of(asid), text(first));
  }
  static SnpPageMove move_command(SystemPhysical from, SystemPhysical to) {
    SnpPageMove move{};
    move.gctx_paddr = context.value();
    move.src_paddr = from.value();
    move.dst_paddr = to.value();
    return move;
  }
  Status move(SystemPhysical from, SystemPhysical to) {
    return run(Command::snp_page_move, move_command(from, to));
  }
  static SnpPageSwap swap_command(SystemPhysical from, SystemPhysical to,
                                  SystemPhysical entry = metadata, SwapType type = SwapType::data) {
    SnpPageSwap swap{};
    swap.gctx_paddr = context.value();
    swap.src_paddr = from.value();
    swap.dst_paddr = to.value();
    swap.mdata_paddr = entry.value();
    swap.flags = static_cast<u64>(type) << 1;
    return swap;
  }
  Status swap_out(SystemPhysical from, SystemPhysical entry = metadata,
                  SwapType type = SwapType::data) {
    SnpPageSwap swap = swap_command(from, cipher, entry, type);
    swap.software_data = 0x5057;
    return run(Command::snp_page_swap_out, swap);
  }
  Status swap_in(SystemPhysical to, SystemPhysical entry = metadata,
                 SwapType type = SwapType::data) {
    return run(Command::snp_page_swap_in, swap_command(cipher, to, entry, type));
  }
};

TEST_F(PageSwapTest, a_moved_page_keeps_its_content_and_its_place_in_the_guest) {
  start();
  make_pre_swap(page);
  make_pre_guest(other, 0x777000);
  const std::vector<u8> before = page_bytes(page);
  ASSERT_EQ(move(page, other), Status::success);
  EXPECT_EQ(state_of(other), PageState::guest_valid);
  EXPECT_EQ(state_of(page), PageState::guest_invalid);
  EXPECT_EQ(rmp.entry(other).gpa(), GuestPhysical(gpa));
  EXPECT_EQ(rmp.entry(other).permissions(Vmpl::vmpl1), 3);
  EXPECT_EQ(page_bytes(other, key_of(asid)), text());
  EXPECT_NE(page_bytes(other), before) << "another place, another ciphertext";
}

TEST_F(PageSwapTest, what_moves_where) {
  start();
  make_pre_guest(page, gpa);
  make_pre_guest(other, gpa);
  ASSERT_EQ(move(page, other), Status::success);
  EXPECT_EQ(state_of(other), PageState::guest_invalid) << "was not validated";
  EXPECT_EQ(move(page, other), Status::invalid_page_state) << "no longer immutable";
  make_pre_swap(page + page_size);
  EXPECT_EQ(move(page + page_size, page + page_size), Status::invalid_page_state);
  EXPECT_EQ(move(page + page_size, cipher), Status::invalid_page_state) << "FIRMWARE";
  make_pre_guest(other + page_size, gpa, PageSize::size_4k, Asid{9});
  EXPECT_EQ(move(page + page_size, other + page_size), Status::invalid_page_owner);
  make_pre_guest(other + 2 * page_size, gpa);
  SnpPageMove large = move_command(page + page_size, other + 2 * page_size);
  large.flags = SnpPageMove::size_2m;
  EXPECT_EQ(run(Command::snp_page_move, large), Status::invalid_page_size);
  large.flags = 2;
  EXPECT_EQ(run(Command::snp_page_move, large), Status::invalid_param);
}

// A copy of a save area that VMRUN would take is a way back in time.
TEST_F(PageSwapTest, a_moved_or_swapped_save_area_leaves_none_behind) {
  start();
  make_pre_swap(page, gpa, 1, true);
  make_pre_guest(other, gpa);
  ASSERT_EQ(move(page, other), Status::success);
  EXPECT_TRUE(rmp.entry(other).vmsa());
  EXPECT_FALSE(rmp.entry(page).vmsa());
  change_entry(other, [](snp::RmpEntry& entry) { entry.set_immutable(true); });
  EXPECT_EQ(swap_out(other), Status::invalid_page_state) << "not a data page";
  ASSERT_EQ(swap_out(other, metadata, SwapType::vmsa), Status::success);
  EXPECT_FALSE(rmp.entry(other).vmsa());
  EXPECT_EQ(swap_in(other), Status::invalid_mdata_entry) << "not a data page";
  ASSERT_EQ(swap_in(other, metadata, SwapType::vmsa), Status::success);
  EXPECT_TRUE(rmp.entry(other).vmsa());
}

TEST_F(PageSwapTest, large_pages_move_and_swap_whole) {
  start();
  make_pre_guest(page, 0x40000000, PageSize::size_2m);
  make_pre_guest(other, 0x40000000, PageSize::size_2m);
  constexpr u64 last = large_page_size - page_size;
  dram.write(page + last, key_of(asid), text(9));
  SnpPageMove command = move_command(page, other);
  EXPECT_EQ(run(Command::snp_page_move, command), Status::invalid_page_size);
  command.flags = SnpPageMove::size_2m;
  ASSERT_EQ(run(Command::snp_page_move, command), Status::success);
  EXPECT_EQ(page_bytes(other + last, key_of(asid)), text(9));
  EXPECT_EQ(rmp.entry(other).size(), PageSize::size_2m);
  EXPECT_EQ(state_of(page + last), PageState::guest_invalid);
  // Out and in again.
  constexpr SystemPhysical away{0xC00000};
  make_firmware(away, PageSize::size_2m);
  change_entry(other, [](snp::RmpEntry& entry) { entry.set_immutable(true); });
  SnpPageSwap swap = swap_command(other, away);
  EXPECT_EQ(run(Command::snp_page_swap_out, swap), Status::invalid_page_size);
  swap.flags |= SnpPageSwap::size_2m;
  ASSERT_EQ(run(Command::snp_page_swap_out, swap), Status::success);
  dram.zero_frames(other, 512, memory::KeyId::none);
  swap = swap_command(away, other);
  swap.flags |= SnpPageSwap::size_2m;
  ASSERT_EQ(run(Command::snp_page_swap_in, swap), Status::success);
  EXPECT_EQ(page_bytes(other + last, key_of(asid)), text(9));
  swap.mdata_paddr = other.value() + 0x1000;
  EXPECT_EQ(run(Command::snp_page_swap_in, swap), Status::invalid_param) << "overlaps";
}

TEST_F(PageSwapTest, out_and_in) {
  start();
  make_pre_swap(page);
  ASSERT_EQ(swap_out(page), Status::success);
  EXPECT_EQ(state_of(page), PageState::pre_guest);
  const auto entry = get<MdataEntry>(metadata);
  EXPECT_EQ(entry.software_data, 0x5057u);
  EXPECT_EQ(entry.page, gpa | MdataEntry::valid | MdataEntry::page_validated);
  EXPECT_EQ(entry.vmpl_permissions >> 8 & 0xFF, 3u);
  // AES-256-GCM under the OEK, IV the counter, no AAD.
  std::vector<u8> plain(page_size);
  const std::vector<u8> sealed = page_bytes(cipher);
  EVP_CIPHER_CTX* cipher_context = EVP_CIPHER_CTX_new();
  u8 iv[12] = {};
  store_le(iv, entry.iv);
  int size = 0;
  MdataEntry copy = entry;
  EXPECT_EQ(EVP_DecryptInit_ex(cipher_context, EVP_aes_256_gcm(), nullptr, guest().oek.data(), iv),
            1);
  EXPECT_EQ(EVP_DecryptUpdate(cipher_context, plain.data(), &size, sealed.data(), page_size), 1);
  EXPECT_EQ(EVP_CIPHER_CTX_ctrl(cipher_context, EVP_CTRL_GCM_SET_TAG, 16, copy.auth_tag), 1);
  EXPECT_EQ(EVP_DecryptFinal_ex(cipher_context, plain.data() + size, &size), 1);
  EVP_CIPHER_CTX_free(cipher_context);
  EXPECT_EQ(plain, text());

  make_pre_guest(other, 0x999000);
  ASSERT_EQ(swap_in(other), Status::success);
  EXPECT_EQ(state_of(other), PageState::pre_swap);
  EXPECT_EQ(rmp.entry(other).gpa(), GuestPhysical(gpa)) << "its place in the guest";
  EXPECT_EQ(page_bytes(other, key_of(asid)), text());
  EXPECT_EQ(get<MdataEntry>(metadata).page & MdataEntry::valid, 0u);
  EXPECT_EQ(swap_in(page), Status::invalid_mdata_entry) << "a page comes back once";
  EXPECT_EQ(run(Command::snp_page_reclaim, SnpPageReclaim{other.value()}), Status::success);
  EXPECT_EQ(state_of(other), PageState::guest_valid);
}

TEST_F(PageSwapTest, only_the_page_that_went_out_comes_in) {
  start();
  make_pre_swap(page);
  ASSERT_EQ(swap_out(page), Status::success);
  const std::vector<u8> old = page_bytes(cipher);
  ASSERT_EQ(swap_in(page), Status::success);
  dram.write(page, key_of(asid), text(2));
  ASSERT_EQ(swap_out(page), Status::success);
  const std::vector<u8> current = page_bytes(cipher);
  dram.write(cipher, memory::KeyId::none, old);
  EXPECT_EQ(swap_in(page), Status::bad_measurement) << "replay";
  std::vector<u8> spoilt = current;
  spoilt[page_size - 1] ^= 1;
  dram.write(cipher, memory::KeyId::none, spoilt);
  EXPECT_EQ(swap_in(page), Status::bad_measurement);
  EXPECT_EQ(state_of(page), PageState::pre_guest) << "nothing changed";
  dram.write(cipher, memory::KeyId::none, current);
  ASSERT_EQ(swap_in(page), Status::success);
  EXPECT_EQ(page_bytes(page, key_of(asid)), text(2));
}

TEST_F(PageSwapTest, in_place) {
  start();
  make_pre_swap(page);
  ASSERT_EQ(swap_out(page), Status::success);
  dram.write(page, memory::KeyId::none, page_bytes(cipher));
  SnpPageSwap swap = swap_command(SystemPhysical(0), page);
  swap.flags |= SnpPageSwap::in_place;
  ASSERT_EQ(run(Command::snp_page_swap_in, swap), Status::success);
  EXPECT_EQ(page_bytes(page, key_of(asid)), text());
}

TEST_F(PageSwapTest, metadata_swaps_too_and_roots_in_the_context) {
  start();
  make_pre_swap(page);
  ASSERT_EQ(swap_out(page), Status::success);
  const std::vector<u8> page_cipher = page_bytes(cipher);
  SnpPageSwap root = swap_command(metadata, cipher, SystemPhysical(0), SwapType::metadata);
  root.flags |= SnpPageSwap::root_mdata_en;
  ASSERT_EQ(run(Command::snp_page_swap_out, root), Status::success);
  EXPECT_EQ(state_of(metadata), PageState::firmware);
  EXPECT_EQ(guest().root_mdata.page, MdataEntry::valid | MdataEntry::metadata);
  EXPECT_EQ(run(Command::snp_page_reclaim, SnpPageReclaim{metadata.value()}), Status::success);
  constexpr SystemPhysical home{0xB000};
  make_firmware(home);
  root = swap_command(cipher, home, SystemPhysical(0), SwapType::metadata);
  root.flags |= SnpPageSwap::root_mdata_en;
  ASSERT_EQ(run(Command::snp_page_swap_in, root), Status::success);
  EXPECT_EQ(state_of(home), PageState::metadata);
  EXPECT_EQ(run(Command::snp_page_swap_in, root), Status::invalid_page_state);
  dram.write(cipher, memory::KeyId::none, page_cipher);
  ASSERT_EQ(swap_in(page, home), Status::success);
  EXPECT_EQ(page_bytes(page, key_of(asid)), text());
}

TEST_F(PageSwapTest, metadata_moves) {
  start();
  make_pre_swap(page);
  ASSERT_EQ(swap_out(page), Status::success);
  constexpr SystemPhysical home{0xB000};
  make_firmware(home);
  ASSERT_EQ(move(metadata, home), Status::success);
  EXPECT_EQ(state_of(metadata), PageState::firmware);
  EXPECT_EQ(state_of(home), PageState::metadata);
  EXPECT_EQ(swap_in(page, home), Status::success);
  EXPECT_EQ(swap_in(page, metadata), Status::invalid_page_state);
}

TEST_F(PageSwapTest, another_guests_pages) {
  start();
  create_context(other);
  ASSERT_EQ(launch_start(other), Status::success);
  ASSERT_EQ(activate(other, Asid{6}), Status::success);
  make_pre_swap(page);
  SnpPageSwap swap = swap_command(page, cipher);
  swap.gctx_paddr = other.value();
  EXPECT_EQ(run(Command::snp_page_swap_out, swap), Status::invalid_page_owner);
  make_pre_guest(page + page_size, gpa, PageSize::size_4k, Asid{6});
  swap = swap_command(page + page_size, cipher);
  swap.gctx_paddr = other.value();
  EXPECT_EQ(run(Command::snp_page_swap_out, swap), Status::invalid_page_owner) << "its entry";
  constexpr SystemPhysical home{0xB000};
  make_firmware(home);
  SnpPageMove command = move_command(metadata, home);
  command.gctx_paddr = other.value();
  EXPECT_EQ(run(Command::snp_page_move, command), Status::invalid_page_owner);
  EXPECT_EQ(state_of(metadata), PageState::metadata);
}

TEST_F(PageSwapTest, checks_of_swap_out) {
  start();
  make_pre_swap(page);
  const auto with = [this](auto change) {
    SnpPageSwap swap = swap_command(page, cipher);
    change(swap);
    return run(Command::snp_page_swap_out, swap);
  };
  EXPECT_EQ(with([](auto& s) { s.flags = 6; }), Status::invalid_param) << "type 3";
  EXPECT_EQ(with([](auto& s) { s.flags = 8; }), Status::invalid_param) << "in place: SWAP_IN";
  EXPECT_EQ(with([](auto& s) { s.mdata_paddr += 0x20; }), Status::invalid_param);
  EXPECT_EQ(with([](auto& s) { s.mdata_paddr = page.value() + 0x40; }), Status::invalid_param);
  EXPECT_EQ(with([](auto& s) { s.mdata_paddr = cipher.value(); }), Status::invalid_param);
  EXPECT_EQ(with([](auto& s) { s.mdata_paddr = free_page.value(); }), Status::invalid_page_state);
  EXPECT_EQ(with([](auto& s) { s.mdata_paddr = u64{1} << 44; }), Status::invalid_page_state);
  EXPECT_EQ(with([](auto& s) { s.dst_paddr = free_page.value(); }), Status::invalid_page_state);
  EXPECT_EQ(with([](auto& s) { s.flags = 2; }), Status::invalid_page_state) << "not metadata";
  EXPECT_EQ(with([](auto& s) { s.dst_paddr = outside.value(); }), Status::success) << "DEFAULT";
  EXPECT_EQ(with([](auto&) {}), Status::invalid_mdata_entry) << "the entry is taken";
  change_state([](PspState& state) { state.guests.at(context).oek_iv_count = ~u64{0}; });
  EXPECT_EQ(with([](auto& s) { s.mdata_paddr += 0x40; }), Status::aead_oflow);
  change_state([](PspState& state) { state.guests.at(context).asid = Asid::host; });
  EXPECT_EQ(with([](auto& s) { s.mdata_paddr += 0x40; }), Status::inactive);
}

TEST_F(PageSwapTest, policy_forbids) {
  start(default_policy | policy::page_swap_disable);
  make_pre_swap(page);
  make_pre_guest(other, gpa);
  EXPECT_EQ(move(page, other), Status::policy_failure);
  EXPECT_EQ(swap_out(page), Status::policy_failure);
  EXPECT_EQ(swap_in(other), Status::policy_failure);
  EXPECT_EQ(state_of(page), PageState::pre_swap);
}

TEST_F(PageSwapTest, firmware_1_55_25_does_not_know_the_policy) {
  Psp old({.seed = 1, .page_swap_disable = false}, dram, rmp, platform);
  init_and_flush();
  create_context();
  old.restore(psp.state());
  put(buffer, start_command(context, default_policy | policy::page_swap_disable));
  EXPECT_EQ(old.command(Command::snp_launch_start, buffer), Status::policy_failure);
  EXPECT_EQ(psp.command(Command::snp_launch_start, buffer), Status::success);
}

TEST_F(PageSwapTest, md_init) {
  start();
  EXPECT_EQ(state_of(metadata), PageState::metadata);
  EXPECT_EQ(memory::metadata_context(rmp.entry(metadata)), context);
  EXPECT_EQ(page_bytes(metadata), std::vector<u8>(page_size));
  EXPECT_EQ(md_init(), Status::invalid_page_state) << "metadata already";
  EXPECT_EQ(md_init(free_page), Status::invalid_page_state);
  make_firmware(page, PageSize::size_2m);
  EXPECT_EQ(md_init(page), Status::invalid_page_size);
  EXPECT_EQ(run(Command::snp_page_reclaim, SnpPageReclaim{metadata.value()}), Status::success);
  EXPECT_EQ(state_of(metadata), PageState::reclaim);
}

}  // namespace
}  // namespace softsnp::psp
