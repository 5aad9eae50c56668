#include "cli/large_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/bits.hpp"
#include "cli/file.hpp"

namespace softsnp::cli {
namespace {

constexpr u64 worth_large_pages = u64{1} << 20;

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, FreeMemory>;

Memory allocate(u64 size) {
  Memory memory(std::aligned_alloc(large_page_size, align_up(size, large_page_size)));
  if (memory) {
    ::madvise(memory.get(), align_up(size, large_page_size), MADV_HUGEPAGE);  // a wish only
  }
  return memory;
}

// Exactly size bytes and then the end; anything else means that the file changed.
bool fill(int file, u8* to, u64 size) {
  u64 at = 0;
  while (at < size) {
    const ssize_t got = ::pread(file, to + at, size - at, static_cast<off_t>(at));
    if (got <= 0) {
      return false;
    }
    at += static_cast<u64>(got);
  }
  u8 more = 0;
  return ::pread(file, &more, 1, static_cast<off_t>(size)) == 0;
}

// Null where read_file must look at it. Asked before opening: to open and close a pipe would break
// it.
Memory read_regular(const std::string& path, u64 limit, u64& size) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) {
    return nullptr;
  }
  size = static_cast<u64>(facts.st_size);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  Memory memory;
  if (file >= 0 && size >= worth_large_pages && size <= limit) {
    memory = allocate(size);
    if (memory && !fill(file, static_cast<u8*>(memory.get()), size)) {
      memory.reset();
    }
  }
  if (file >= 0) {
    ::close(file);
  }
  return memory;
}

}  // namespace

Result<LargeFile, std::string> read_large_file(const std::string& path, u64 limit) {
  LargeFile file;
  u64 size = 0;
  if (Memory memory = read_regular(path, limit, size)) {
    file.bytes_ = {static_cast<const u8*>(memory.get()), size};
    file.owner_ = std::move(memory);
    return file;
  }
  auto bytes = read_file(path, limit);
  if (!bytes) {
    return Failure{bytes.error()};
  }
  const auto kept = std::make_shared<std::vector<u8>>(std::move(*bytes));
  file.bytes_ = *kept;
  file.owner_ = kept;
  return file;
}

}  // namespace softsnp::cli
