#include "cli/file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

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

TEST_F(FileTest, EndlessFilesEnd) {
  EXPECT_FALSE(read_file("/dev/zero", 1 << 20).ok());
}

TEST_F(FileTest, PipesWork) {
  const std::string path = directory + "/pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const int status = std::system(("(printf abc > " + path + ") &").c_str());
  ASSERT_EQ(status, 0);
  const auto bytes = read_file(path, 10);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(bytes->size(), 3u);
}

}  // namespace
}  // namespace softsnp::cli::test
