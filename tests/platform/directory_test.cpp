// The platform directory: modes, completeness, and what is said of broken ones.
#include "platform/directory.hpp"

#include <sys/stat.h>

#include <fstream>
#include <set>

#include "platform/kds.hpp"
#include "tests/platform/fixture.hpp"

namespace softsnp::platform {
namespace {

unsigned mode_of(const std::string& path) {
  struct stat facts {};
  EXPECT_EQ(::stat(path.c_str(), &facts), 0) << path;
  return facts.st_mode & 07777;
}
void write(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}
std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Directory : public testing::Test {
 protected:
  void make(Product product = Product::genoa) {
    const auto saved = save(test_platform(product), chip);
    ASSERT_TRUE(saved.ok()) << saved.error();
  }
  std::string file(const char* name) const { return chip + "/" + name; }
  // One line that names the file.
  void expect_refused(const char* name, const std::string& why) const {
    const auto loaded = load(chip);
    ASSERT_FALSE(loaded.ok()) << name;
    EXPECT_EQ(loaded.error().rfind(*name == '\0' ? chip : file(name), 0), 0u) << loaded.error();
    EXPECT_NE(loaded.error().find(why), std::string::npos) << loaded.error();
    EXPECT_EQ(loaded.error().find('\n'), std::string::npos) << loaded.error();
  }
  // The file is as before afterwards.
  void expect_refused_with(const char* name, const std::string& contents, const std::string& why) {
    const std::string before = contents_of(file(name));
    write(file(name), contents);
    expect_refused(name, why);
    write(file(name), before);
  }

  TemporaryDirectory parent;
  std::string chip = parent / "chip";
};

constexpr const char* secret_files[] = {"platform.json", "chip.secret", "vlek.hashstick",
                                        "ark.key",       "ask.key",     "asvk.key"};
constexpr const char* public_files[] = {"ark.pem",  "ask.pem",  "asvk.pem",
                                        "vcek.pem", "vlek.pem", "crl.pem"};

TEST_F(Directory, RoundTrip) {
  for (const Product product : all_products) {
    const Platform& made = test_platform(product);
    const std::string path = parent / product_name(product);
    ASSERT_TRUE(save(made, path).ok());
    const auto loaded = load(path);
    ASSERT_TRUE(loaded.ok()) << loaded.error();
    EXPECT_EQ(loaded->settings, made.settings);
    EXPECT_EQ(loaded->secrets.chip, made.secrets.chip);
    EXPECT_EQ(loaded->secrets.hashstick, made.secrets.hashstick);
    EXPECT_EQ(loaded->certificates.ark, made.certificates.ark);
    EXPECT_EQ(loaded->certificates.vcek, made.certificates.vcek);
    EXPECT_EQ(loaded->certificates.vlek, made.certificates.vlek);
    EXPECT_EQ(loaded->certificates.crl, made.certificates.crl);
    EXPECT_EQ(loaded->keys.ark != nullptr && same_key(*loaded->keys.ark, *made.keys.ark), true);
  }
}

TEST_F(Directory, ModesWhateverTheUmask) {
  for (const mode_t mask : {0u, 0777u}) {
    std::filesystem::remove_all(chip);
    const mode_t before = ::umask(mask & ~mode_t{0700});
    make();
    ::umask(before);
    EXPECT_EQ(mode_of(chip), 0700u);
    for (const char* const name : secret_files) {
      EXPECT_EQ(mode_of(file(name)), 0600u) << name;
    }
    for (const char* const name : public_files) {
      EXPECT_EQ(mode_of(file(name)), 0644u) << name;
    }
  }
}

TEST_F(Directory, NothingElseIsLeftBehind) {
  make();
  std::set<std::string> seen;
  for (const auto& entry : std::filesystem::directory_iterator(parent.path())) {
    seen.insert(entry.path().filename());
  }
  EXPECT_EQ(seen, std::set<std::string>{"chip"});
  usize files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(chip)) {
    ++files;
  }
  EXPECT_EQ(files, std::size(secret_files) + std::size(public_files));
}

TEST_F(Directory, OnlyAnEmptyPlaceIsTaken) {
  const Platform& made = test_platform(Product::genoa);
  std::filesystem::create_directory(chip);
  EXPECT_TRUE(save(made, chip + "/").ok()) << "empty";
  auto refused = save(made, chip);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error(), chip + ": exists and is not empty");
  write(parent / "file", "x");
  refused = save(made, parent / "file");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().find("no directory"), std::string::npos) << refused.error();
  EXPECT_EQ(contents_of(parent / "file"), "x");
  EXPECT_FALSE(save(made, parent / "no/such/place").ok());
}

TEST_F(Directory, MissingFilesAreNamed) {
  make();
  for (const auto& names : {secret_files, public_files}) {
    for (usize at = 0; at < 6; ++at) {
      const char* const name = names[at];
      std::filesystem::rename(file(name), parent / "aside");
      expect_refused(name, "No such file");
      std::filesystem::rename(parent / "aside", file(name));
    }
  }
  EXPECT_TRUE(load(chip).ok());
}

TEST_F(Directory, ReadableSecretsAreRefused) {
  make();
  for (const char* const name : secret_files) {
    for (const mode_t mode : {0640u, 0604u, 0620u}) {
      ::chmod(file(name).c_str(), mode);
      expect_refused(name, "lets others in, expected 0600");
    }
    ::chmod(file(name).c_str(), 0600);
  }
  ::chmod(chip.c_str(), 0755);
  expect_refused("", "mode 0755 lets others in, expected 0700");
  ::chmod(chip.c_str(), 0700);
  EXPECT_TRUE(load(chip).ok());
}

TEST_F(Directory, StrangeFilesAreRefused) {
  make();
  for (const char* const name : {"ark.key", "vcek.pem", "platform.json"}) {
    std::filesystem::rename(file(name), parent / "aside");
    std::filesystem::create_symlink(parent / "aside", file(name));
    expect_refused(name, "symbolic link");
    std::filesystem::remove(file(name));
    std::filesystem::create_directory(file(name));
    ::chmod(file(name).c_str(), 0700);
    expect_refused(name, "no regular file");
    std::filesystem::remove(file(name));
    ::mkfifo(file(name).c_str(), 0600);
    expect_refused(name, "no regular file");
    std::filesystem::remove(file(name));
    std::filesystem::rename(parent / "aside", file(name));
  }
  expect_refused_with("platform.json", std::string(70000, ' '), "64 KiB");
  EXPECT_TRUE(load(chip).ok());
}

TEST_F(Directory, WrongContentsAreNamed) {
  make();
  expect_refused_with("platform.json", "{}", "format");
  expect_refused_with("chip.secret", "00", "expected 96 hexadecimal digits");
  expect_refused_with("chip.secret", std::string(96, 'g'), "expected 96 hexadecimal digits");
  expect_refused_with("vlek.hashstick", "", "expected 768 hexadecimal digits");
  expect_refused_with("ark.key", "", "RSA-4096 private key");
  expect_refused_with("ark.key", contents_of(file("ark.pem")), "RSA-4096 private key");
  expect_refused_with("ask.key", run_command("openssl genrsa 2048 2>/dev/null").output,
                      "RSA-4096 private key");
  expect_refused_with(
      "ask.key", run_command("openssl pkcs8 -topk8 -passout pass:x -in " + file("ask.key")).output,
      "not encrypted");
  expect_refused_with("ask.pem", "", "PEM block 'CERTIFICATE'");
  expect_refused_with("ask.pem", contents_of(file("crl.pem")), "PEM block 'CERTIFICATE'");
  expect_refused_with("ask.pem", contents_of(file("ask.pem")) + contents_of(file("ark.pem")),
                      "one PEM block");
  expect_refused_with("vcek.pem", to_pem(std::vector<u8>{1, 2, 3}, certificate_label), "X.509");
  expect_refused_with("crl.pem", to_pem(std::vector<u8>{0x30, 0}, crl_label), "CRL");
  EXPECT_TRUE(load(chip).ok());
}

TEST_F(Directory, PartsThatDoNotBelongTogetherAreNamed) {
  make();
  const std::string key = contents_of(file("ask.key"));
  write(file("ask.key"), key_to_pem(*another_key()));
  expect_refused("ask.pem", "is not of the key beside it");
  write(file("ask.key"), key);
  expect_refused_with("asvk.pem", contents_of(file("ask.pem")), "is not of the key beside it");
  expect_refused_with("vlek.pem", contents_of(file("vcek.pem")), "not signed by the authority");
  const Platform& other = test_platform(Product::milan);
  expect_refused_with("vcek.pem", to_pem(other.certificates.vcek, certificate_label),
                      "does not fit platform.json");
  const std::string secret = contents_of(file("chip.secret"));
  write(file("chip.secret"), std::string(96, '5'));
  expect_refused("vcek.pem", "does not fit platform.json and the secrets");
  write(file("chip.secret"), secret);
  std::string settings = contents_of(file("platform.json"));
  settings.replace(settings.find("a0a1"), 4, "b0a1");
  const std::string before = contents_of(file("platform.json"));
  write(file("platform.json"), settings);
  expect_refused("vcek.pem", "does not fit platform.json");
  write(file("platform.json"), before);
  RootKeys keys = test_keys();
  keys.ark = another_key();
  const Platform foreign =
      make_platform(test_settings(Product::genoa), test_secrets(), std::move(keys));
  expect_refused_with("crl.pem", to_pem(foreign.certificates.crl, crl_label), "signed by the ARK");
  expect_refused_with("ask.pem", to_pem(foreign.certificates.ask, certificate_label),
                      "not signed by the authority");
  EXPECT_TRUE(load(chip).ok());
}

TEST_F(Directory, NoDirectory) {
  expect_refused("", "No such file");
  write(chip, "x");
  expect_refused("", "is no directory");
}

}  // namespace
}  // namespace softsnp::platform
