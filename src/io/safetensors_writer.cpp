#include "io/safetensors_writer.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "io/json.h"
#include "io/safetensors.h"
#include "weft/core/error.h"

namespace weft::io {

namespace {

/// A shape's text: at most 15 digits of size shared by all dimensions, one more digit each for rounding up, commas.
constexpr size_t kShapeRoom = 15 + 2 * kMaxRank;
/// Header bytes of one tensor besides its name: punctuation and keys, two offsets of 15 digits, the shape.
constexpr size_t kEntryRoom = 52 + 2 * 15 + kShapeRoom;

std::string quoted_json(const std::string& text) { return to_json(Value::text(text), -1); }

}  // namespace

struct SafetensorsWriter::State {
  std::string path;
  int fd = -1;
  size_t header_size = 0;             // without the length word
  std::string header;                 // grows entry by entry
  std::map<std::string, bool> names;  // announced; true once written
  std::vector<std::pair<std::string, Tensor>> late;
  std::int64_t bytes = 0;

  [[noreturn]] void fail(int code) const {
    throw Error(fmt::format("{}: cannot write: {}", path, std::strerror(code)));
  }

  void write_at(size_t offset, const void* data, size_t size) const {
    const char* at = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t n = ::pwrite(fd, at, std::min(size, size_t{1} << 30), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail(n < 0 ? errno : EIO);
      at += n, offset += static_cast<size_t>(n), size -= static_cast<size_t>(n);
    }
  }

  void put(const std::string& name, const Tensor& tensor) {
    const size_t size = tensor.nbytes();
    if (size > 0) write_at(8 + header_size + static_cast<size_t>(bytes), tensor.const_data_ptr(), size);
    const std::int64_t end = bytes + static_cast<std::int64_t>(size);
    header += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          header.size() > 1 ? "," : "", quoted_json(name), safetensors_dtype(tensor.scalar_type()),
                          fmt::join(tensor.sizes().begin(), tensor.sizes().end(), ","), bytes, end);
    bytes = end;
  }
};

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, const std::vector<std::string>& names,
                                     std::vector<std::pair<std::string, std::string>> metadata)
    : state_(nullptr) {
  auto state = std::make_unique<State>();
  state->path = path.string();
  state->header = "{";
  if (!metadata.empty()) {
    Value map = Value::make_map();
    for (auto& [key, value] : metadata) map.set(key, Value::text(std::move(value)));
    state->header += "\"__metadata__\":" + to_json(map, -1);
  }
  size_t room = state->header.size() + 2;
  for (const std::string& name : names) {
    if (name == "__metadata__" || !state->names.emplace(name, false).second)
      throw Error(fmt::format("{}: tensor name '{}' is reserved or announced twice", state->path, name));
    room += quoted_json(name).size() + kEntryRoom;
  }
  state->header_size = (room + 7) / 8 * 8;
  state->fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (state->fd < 0) state->fail(errno);
  state_ = state.release();
}

SafetensorsWriter::~SafetensorsWriter() {
  if (state_->fd >= 0) ::close(state_->fd);
  delete state_;
}

void SafetensorsWriter::add(const std::string& name, const Tensor& tensor) {
  State& s = *state_;
  const auto announced = s.names.find(name);
  if (announced == s.names.end() || announced->second)
    throw Error(fmt::format("{}: tensor '{}' was {}", s.path, name,
                            announced == s.names.end() ? "not announced" : "written twice"));
  if (safetensors_dtype(tensor.scalar_type()).empty())
    throw Error(fmt::format("{}: tensor '{}': safetensors has no dtype for {}", s.path, name,
                            dtype_name(tensor.scalar_type())));
  const std::string shape = fmt::format("{}", fmt::join(tensor.sizes().begin(), tensor.sizes().end(), ","));
  if (tensor.sizes().size() > kMaxRank || shape.size() > kShapeRoom)
    throw Error(
        fmt::format("{}: tensor '{}' of shape [{}] cannot be written: too many dimensions", s.path, name, shape));
  announced->second = true;
  const Tensor flat = tensor.detach().to(at::kCPU).contiguous();
  // The format allows no gaps, so alignment comes from order: sizes that would push the next tensor off its boundary
  // wait for the end, where descending item size keeps all of them aligned.
  if (flat.nbytes() % 8 == 0)
    s.put(name, flat);
  else
    s.late.emplace_back(name, flat.is_alias_of(tensor) ? flat.clone() : flat);
}

void SafetensorsWriter::finish() {
  State& s = *state_;
  std::stable_sort(s.late.begin(), s.late.end(),
                   [](const auto& a, const auto& b) { return a.second.itemsize() > b.second.itemsize(); });
  for (const auto& [name, tensor] : s.late) s.put(name, tensor);
  s.late.clear();
  s.header += '}';
  if (s.header.size() > s.header_size) throw Error(fmt::format("{}: header outgrew its room", s.path));
  s.header.resize(s.header_size, ' ');
  std::array<unsigned char, 8> length{};
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(s.header_size >> (8 * i) & 255);
  s.write_at(8, s.header.data(), s.header.size());
  s.write_at(0, length.data(), length.size());
  // Special files such as pipes cannot be synced; that is no failure to write.
  if (::fsync(s.fd) != 0 && errno != EINVAL && errno != EROFS) s.fail(errno);
  const int fd = std::exchange(s.fd, -1);
  if (::close(fd) != 0) s.fail(errno);
}

std::int64_t SafetensorsWriter::bytes() const { return state_->bytes; }

}  // namespace weft::io
