#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace weft::io {

/// Hex SHA-256 (FIPS 180-4) of bytes.
std::string sha256(const void* data, size_t size);
/// Hex SHA-256 of a file's content; does not leave the file's pages resident.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace weft::io
