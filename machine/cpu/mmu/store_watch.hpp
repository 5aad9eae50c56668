// Frames whose stores somebody wants to hear of: how an observer sees a guest change its page
// tables, for which the architecture has no event.
#pragma once

#include <set>

#include "arch/address.hpp"

namespace softsnp::cpu {

// A store of the guest to a watched frame, told once it is done: at the latest at the end of its
// block.
struct WatchedStore {
  SystemPhysical at;
  u32 size = 0;  // bytes; 0: none
  u64 rip = 0;
  u64 instructions = 0;  // retired since the machine's clock was last brought up to date
};

class StoreListener {
 public:
  virtual ~StoreListener() = default;
  virtual void stored(const WatchedStore& store) = 0;
};

class StoreWatch {
 public:
  // Outlives the watch.
  void set_listener(StoreListener* listener) { listener_ = listener; }
  void add(SystemPhysical page) { frames_.insert(page.page()); }
  bool contains(SystemPhysical at) const {
    return listener_ != nullptr && frames_.count(at.page()) != 0;
  }
  void begin(const WatchedStore& store) { store_ = store; }
  bool has_news() const { return store_.size != 0; }
  void tell() {
    const WatchedStore store = store_;
    store_ = {};
    listener_->stored(store);
  }

 private:
  StoreListener* listener_ = nullptr;
  std::set<SystemPhysical> frames_;
  WatchedStore store_;
};

}  // namespace softsnp::cpu
