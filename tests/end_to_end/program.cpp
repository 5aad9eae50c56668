#include "tests/end_to_end/program.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace softsnp::end_to_end {
namespace {

std::string temporary_name() {
  const char* folder = std::getenv("TMPDIR");
  std::string name = std::string(folder != nullptr ? folder : "/tmp") + "/softsnp-test-XXXXXX";
  const int file = ::mkstemp(name.data());
  if (file >= 0) {
    ::close(file);
  }
  return name;
}

// In the child: never returns.
[[noreturn]] void become(const std::vector<std::string>& arguments, const std::string& out,
                         const std::string& err) {
  std::vector<char*> argv;
  std::string program = SOFTSNP_PROGRAM;
  argv.push_back(program.data());
  std::vector<std::string> copies = arguments;
  for (std::string& argument : copies) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  const int in_file = ::open("/dev/null", O_RDONLY);
  const int out_file = ::open(out.c_str(), O_WRONLY | O_TRUNC);
  const int err_file = ::open(err.c_str(), O_WRONLY | O_TRUNC);
  if (::dup2(in_file, 0) == 0 && ::dup2(out_file, 1) == 1 && ::dup2(err_file, 2) == 2) {
    ::execv(argv[0], argv.data());
  }
  ::_exit(127);
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& arguments) {
  const TemporaryFile out("");
  const TemporaryFile err("");
  const pid_t child = ::fork();
  if (child == 0) {
    become(arguments, out.path(), err.path());
  }
  ProgramResult result;
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) {
    return result;
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = contents_of(out.path());
  result.err = contents_of(err.path());
  return result;
}

TemporaryFile::TemporaryFile(const std::string& contents) : path_(temporary_name()) {
  std::ofstream(path_, std::ios::binary) << contents;
}

TemporaryFile::~TemporaryFile() {
  ::unlink(path_.c_str());
}

std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string guest_file(const std::string& name) {
  const char* folder = std::getenv("SOFTSNP_GUEST_DIR");
  return std::string(folder != nullptr ? folder : SOFTSNP_GUEST_DIR) + "/" + name;
}

}  // namespace softsnp::end_to_end
