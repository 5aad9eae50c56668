# cpp-httplib as Debian builds it: a shared library, with options that change its classes. They stand
# in its pkg-config file; asking pkg-config would be one tool more.
include_guard()
find_path(HTTPLIB_INCLUDE httplib.h REQUIRED)
find_library(HTTPLIB_LIBRARY cpp-httplib REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
add_library(httplib::httplib INTERFACE IMPORTED)
target_include_directories(httplib::httplib SYSTEM INTERFACE ${HTTPLIB_INCLUDE})
target_compile_definitions(httplib::httplib INTERFACE CPPHTTPLIB_OPENSSL_SUPPORT
                           CPPHTTPLIB_ZLIB_SUPPORT CPPHTTPLIB_BROTLI_SUPPORT)
target_link_libraries(httplib::httplib INTERFACE ${HTTPLIB_LIBRARY} Threads::Threads
                      OpenSSL::SSL OpenSSL::Crypto)
