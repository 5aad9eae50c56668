#include "cli/file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "cli/large_file.hpp"

namespace softsnp::cli::test {
namespace {

struct FileTest : testing::Test {
  FileTest() {
    char name[] = "/tmp/softsnp_file_test_XXXXXX";
    directory = ::mkdtemp(name);
  }
  ~FileTest() override { std::system(("rm -r " + directory).c_str()); }
  std::string with(const std::string& content) {
    std::string path = directory + "/file";
    std::ofstream(path) << content;
    return path;
  }
  std::string directory;
};

TEST_F(FileTest, ReadsAll) {
  const auto bytes = read_file(with("hello"), 5);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(std::string(bytes->begin(), bytes->end()), "hello");
  const std::string large(3'000'001, 'x');
  EXPECT_EQ(read_file(with(large), 10 << 20)->size(), large.size());
}

TEST_F(FileTest, EachDefectHasItsLine) {
  EXPECT_EQ(read_file(directory + "/none", 10).error(),
            directory + "/none: No such file or directory");
  EXPECT_EQ(read_file(directory, 10).error(), directory + ": is a directory");
  EXPECT_EQ(read_file(with(""), 10).error(), directory + "/file: is empty");
  EXPECT_EQ(read_file(with(std::string(2 << 20, 'x')), 1 << 20).error(),
            directory + "/file: larger than the 1 MiB that fit");
}

TEST_F(FileTest, LargeFilesAreTheSame) {
  for (const usize size : {1u, (1u << 20) - 1, 1u << 20, 3'000'001u, 4u << 20}) {
    std::string content(size, 'x');
    for (usize i = 0; i < size; i += 4096) {
      content[i] = static_cast<char>(i >> 12);
    }
    const auto file = read_large_file(with(content), 4 << 20);
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(std::string(file->bytes().begin(), file->bytes().end()), content);
  }
  EXPECT_EQ(read_large_file(with(std::string(5 << 20, 'x')), 4 << 20).error(),
            directory + "/file: larger than the 4 MiB that fit");
  EXPECT_EQ(read_large_file(directory + "/none", 10).error(),
            directory + "/none: No such file or directory");
  EXPECT_EQ(read_large_file(directory, 10).error(), directory + ": is a directory");
  EXPECT_FALSE(read_large_file("/dev/zero", 1 << 20).ok());
}

TEST_F(FileTest, EndlessFilesEnd) {
  EXPECT_FALSE(read_file("/dev/zero", 1 << 20).ok());
}

TEST_F(FileTest, PipesWork) {
  const std::string path = directory + "/pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto write_to_it = [&path] {
    return std::system(("(printf abc > " + path + ") &").c_str());
  };
  ASSERT_EQ(write_to_it(), 0);
  const auto bytes = read_file(path, 10);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(bytes->size(), 3u);
  ASSERT_EQ(write_to_it(), 0);
  const auto large = read_large_file(path, 10);
  ASSERT_TRUE(large.ok());
  EXPECT_EQ(large->bytes().size(), 3u);
}

}  // namespace
}  // namespace softsnp::cli::test
