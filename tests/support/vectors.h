#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/bytes.h"

#ifndef CASEVAULT_VECTORS_DIR
#define CASEVAULT_VECTORS_DIR "../shared/vectors"
#endif

/// Published test vectors of other projects, read where they lie. They are not part of casevault: where the folder is
/// absent, the tests that need it are skipped by name.
namespace casevault::test {

inline std::filesystem::path vector_path(std::string_view name) {
  return std::filesystem::path(CASEVAULT_VECTORS_DIR) / name;
}

/// The files under a folder of vectors, sorted, subfolders included; one empty path where the folder is absent, so that
/// one test stands in for them and says that it is skipped.
inline std::vector<std::filesystem::path> vector_files(std::string_view folder) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(vector_path(folder))) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(vector_path(folder))) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  if (files.empty()) files.emplace_back();
  return files;
}

/// Names the tests of INSTANTIATE_TEST_SUITE_P after their files.
inline std::string vector_test_name(const testing::TestParamInfo<std::filesystem::path>& info) {
  if (info.param.empty()) return "vectors_absent";
  auto path = info.param.lexically_relative(CASEVAULT_VECTORS_DIR);
  std::string name = path.replace_extension().generic_string();
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

inline Bytes read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto view = as_bytes(text);
  return {view.begin(), view.end()};
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream in(path);
  return nlohmann::json::parse(in);
}

/// The bytes of a string of hexadecimal digits in a vector or a test. Throws for anything else.
inline Bytes hex(std::string_view text) { return from_hex(text).value(); }
template <std::size_t N>
ByteArray<N> hex_array(std::string_view text) {
  return array_from_hex<N>(text).value();
}

}  // namespace casevault::test

/// Skips the test, by name and with the reason, where the path of the vectors is absent.
#define CASEVAULT_NEEDS_VECTORS(path) \
  if (!std::filesystem::exists(path)) \
  GTEST_SKIP() << "published test vectors are not at " << CASEVAULT_VECTORS_DIR << " (CASEVAULT_VECTORS_DIR)"
