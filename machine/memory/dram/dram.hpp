// DRAM by 4 KiB frames, each held in one form: raw (what the bus sees) or plain under one key.
// Reserved, not committed: an untouched frame costs nothing and reads as raw zeros.
// docs/architecture.md "Memory: exact encryption at no cost per access".
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "arch/address.hpp"
#include "machine/memory/crypt/key_table.hpp"
#include "machine/memory/dram/bus_layer.hpp"
#include "machine/memory/dram/invalidation_log.hpp"
#include "machine/memory/dram/reservation.hpp"

namespace softsnp::memory {

class Observer;

class Dram final : private KeyChangeListener {
 public:
  static constexpr u64 max_bytes = u64{1} << 42;

  // bytes: size of DRAM from sPA 0, a multiple of 2 MiB, at most max_bytes.
  explicit Dram(u64 bytes);
  Dram(const Dram&) = delete;
  Dram& operator=(const Dram&) = delete;
  ~Dram();

  u64 size() const { return size_; }
  bool contains(SystemPhysical at, u64 bytes) const {
    return at.value() < size_ && bytes <= size_ - at.value();
  }
  // Installing or erasing a key first turns the frames held plain under it into raw ones: DRAM's
  // truth is the ciphertext, and a new key must not read what the old one wrote.
  KeyTable& keys() { return keys_; }
  InvalidationLog& log() { return log_; }
  const InvalidationLog& log() const { return log_; }
  // May be null; must outlive the Dram or be taken back. Told of each conversion.
  void set_observer(Observer* observer) { observer_ = observer; }

  // Form the frame is held in: KeyId::none = raw.
  KeyId form(SystemPhysical page) const { return forms_[checked_number(page)]; }
  // Host pointer to the 4096 bytes of the frame as seen under key. Converts the frame (AES) if it
  // is held in another form, and logs Change::form if a core keeps a pointer to it or watches it.
  // The pointer stays good until the next conversion of this frame. Requires contains(page,
  // page_size).
  u8* frame(SystemPhysical page, KeyId key) {
    const u64 number = checked_number(page);
    marks_[number] |= written_mark;
    if (forms_[number] != key) [[unlikely]] {
      convert(page, key);
    }
    return base_ + (number << page_shift);
  }
  // For a reader that can do with a copy: whether read() is the better way to this frame under key,
  // because it is held in another form and has been read so but little. Linux reads two bytes of
  // each page that it validates, to evict stale cache lines (hardware sheet 1.1, EBX[31]): most
  // such pages are not touched again for long, or written whole. Counts the read.
  bool glance(SystemPhysical page, KeyId key) {
    const u64 number = checked_number(page);
    return forms_[number] != key && count_up(number, glance_step, glance_mask);
  }
  // For a writer: whether the frame is fresh, its host memory not committed, and read(), changes to
  // the copy, write() are the better way to it, since a write() of zeros leaves it so. Guests clear
  // far more than they use (Linux clears 6 % of memory as bounce buffers). Counts the try: a frame
  // that is written again and again becomes an ordinary one.
  bool first_write(SystemPhysical page) {
    const u64 number = checked_number(page);
    return (marks_[number] & (watched_mark | pointer_mark | written_mark)) == 0 &&
           count_up(number, first_write_step, first_write_mask);
  }
  // The firmware's encryption in place: bytes seen under `from` become the plaintext under `to`.
  // Same outcome as read under from, write under to; no AES when the frame is already in `from`.
  void reencrypt_in_place(SystemPhysical page, KeyId from, KeyId to);
  // All bytes of the frame := 0 as seen under key, without converting what was there. Commits no
  // host memory for a frame that was never touched.
  void zero_frame(SystemPhysical page, KeyId key);
  // The same for count frames at once: their host memory is given back, none of it is looked at.
  void zero_frames(SystemPhysical page, u64 count, KeyId key);
  // Gives the frame's host memory back; it reads as raw zeros afterwards.
  void release_frame(SystemPhysical page) { release_frames(page, 1); }
  // Same for `count` frames from page on, in one host call.
  void release_frames(SystemPhysical page, u64 count);

  // Byte ranges as seen under key; may cross frames. Require contains(). A read never changes a
  // form, a write only where it covers a whole frame. write() logs Change::contents for watched
  // frames. Both go through the bus layer, if there is one.
  void read(SystemPhysical at, KeyId key, std::span<u8> to);
  void write(SystemPhysical at, KeyId key, std::span<const u8> from);

  // Watched: some core holds decoded code from this frame. Writers other than cores log it.
  bool watched(SystemPhysical page) const {
    return (marks_[checked_number(page)] & watched_mark) != 0;
  }
  void set_watched(SystemPhysical page, bool on) {
    u8& marks = marks_[checked_number(page)];
    marks = static_cast<u8>(on ? marks | watched_mark : marks & ~watched_mark);
  }
  // A core keeps what frame() returned: the frame's next change of form, which ends that pointer,
  // has to be logged. Frames that no core has touched change their form unheard.
  void note_pointer(SystemPhysical page) { marks_[checked_number(page)] |= pointer_mark; }

  // See bus_layer.hpp. May be null; must outlive the Dram or be taken back. Setting it logs
  // everything, so that cores forget their host pointers.
  void set_bus_layer(BusLayer* layer);
  bool has_bus_layer() const { return bus_layer_ != nullptr; }

  u64 conversions() const { return conversions_; }
  // SHA-256 over the raw (bus) view of all of DRAM, whatever the forms; for determinism tests.
  // Does not disturb the forms.
  std::vector<u8> digest();

 private:
  // Without written_mark the frame's host memory is all zero and not committed. The counts above
  // the marks: uses of glance() since the last change of form, of first_write() since it was fresh.
  static constexpr u8 watched_mark = 1, pointer_mark = 2, written_mark = 4;
  static constexpr u8 glance_step = 8, glance_mask = 3 * glance_step;
  static constexpr u8 first_write_step = 32, first_write_mask = 3 * first_write_step;
  bool count_up(u64 number, u8 step, u8 mask) {
    if ((marks_[number] & mask) == mask) {
      return false;
    }
    marks_[number] = static_cast<u8>(marks_[number] + step);
    return true;
  }
  bool is_written(u64 number) const { return (marks_[number] & written_mark) != 0; }
  u64 checked_number(SystemPhysical page) const {
    if (page.value() >= size_) [[unlikely]] {
      out_of_range(page, page_size);
    }
    return page.page_number();
  }
  [[noreturn]] static void out_of_range(SystemPhysical at, u64 bytes);
  void check_range(SystemPhysical at, u64 bytes) const;

  void convert(SystemPhysical page, KeyId key);
  bool set_form(u64 number, KeyId key);
  void relabel(SystemPhysical page, KeyId key);
  void relabel_large(SystemPhysical page, KeyId key);
  void log_contents(SystemPhysical page);
  bool key_will_change(KeyId id, KeyId retired) override;
  void key_must_go(KeyId id) override;

  SystemPhysical routed(SystemPhysical page) const;
  void load_blocks(SystemPhysical at, KeyId key, u8* to, u64 bytes);
  void put(SystemPhysical at, const u8* from, u64 bytes);
  void store_blocks(SystemPhysical at, KeyId key, u8* from, u64 bytes);
  void read_chunk(SystemPhysical at, KeyId key, std::span<u8> to);
  void write_chunk(SystemPhysical at, KeyId key, std::span<const u8> from);

  u64 size_;
  Reservation frames_;
  Reservation form_storage_;
  Reservation mark_storage_;
  u8* base_;
  KeyId* forms_;
  u8* marks_;
  KeyTable keys_;
  InvalidationLog log_;
  Observer* observer_ = nullptr;
  BusLayer* bus_layer_ = nullptr;
  u64 conversions_ = 0;
};

}  // namespace softsnp::memory
