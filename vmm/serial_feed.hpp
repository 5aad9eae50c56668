// Characters from the console on their way into the UART, at the guest's pace.
#pragma once

#include <span>
#include <vector>

#include "vmm/board.hpp"

namespace softsnp::vmm {

class SerialFeed {
 public:
  void add(std::span<const u8> bytes) { queue_.insert(queue_.end(), bytes.begin(), bytes.end()); }
  bool empty() const { return next_ == queue_.size(); }

  // Moves what the receiver has room for; returns how many. even_if_unheard: also while no driver
  // listens, as a keyboard would. Input from a file waits instead: Linux empties the FIFO when it
  // opens the port, and the beginning of a script would be lost.
  usize feed(Board& board, bool even_if_unheard) {
    usize moved = 0;
    while (!empty() && board.serial_room() > 0 && (even_if_unheard || board.serial_listens())) {
      board.serial_receive(queue_[next_++]);
      ++moved;
    }
    if (empty()) {
      queue_.clear();
      next_ = 0;
    }
    return moved;
  }

 private:
  std::vector<u8> queue_;
  usize next_ = 0;
};

}  // namespace softsnp::vmm
