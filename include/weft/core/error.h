#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#if defined(__GNUC__)
#define WEFT_API __attribute__((visibility("default")))
#else
#define WEFT_API
#endif

namespace weft {

/// Who can put an error right; the command line turns it into an exit code (1, 2, 3).
enum class Blame {
  kSystem,  ///< the machine: output not writable, disk full, out of memory
  kUsage,   ///< what the user typed or wrote in a recipe
  kInput,   ///< input files that are missing, malformed, non-finite or do not fit together
};

/// Base of everything this library throws. The text names what was wrong, where, what was expected and what to do.
class WEFT_API Error : public std::runtime_error {
 public:
  explicit Error(const std::string& text, Blame blame = Blame::kSystem) : std::runtime_error(text), blame_(blame) {}
  /// Who can put it right.
  Blame blame() const noexcept { return blame_; }

 private:
  Blame blame_;
};

/// A wrong option, count, name or combination of options.
class WEFT_API UsageError : public Error {
 public:
  explicit UsageError(const std::string& text) : Error(text, Blame::kUsage) {}
};

/// A place in a text file; line and column count from 1, 0 means unknown.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;
  /// `file:line:column`, leaving out what is unknown.
  WEFT_API std::string text() const;
};

/// A mistake in a recipe; the text begins with `file:line:column: `.
class WEFT_API RecipeError : public UsageError {
 public:
  RecipeError(const Place& place, const std::string& text);
  /// Where the mistake stands.
  const Place& place() const noexcept { return place_; }

 private:
  Place place_;
};

/// An input file or a pool that cannot be used as it is.
class WEFT_API InputError : public Error {
 public:
  explicit InputError(const std::string& text) : Error(text, Blame::kInput) {}
};

/// A malformed file; the text begins with the path.
class WEFT_API FormatError : public InputError {
 public:
  FormatError(const std::string& path, const std::string& text) : InputError(path + ": " + text), path_(path) {}
  /// The file that is malformed.
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// A well-formed input that Weft recognises by name but cannot compose; the text says the way out.
class WEFT_API UnsupportedError : public InputError {
 public:
  using InputError::InputError;
};

/// A model whose outputs are NaN or infinite: weights that are damaged, too large, or diverged.
class WEFT_API NonFiniteError : public InputError {
 public:
  using InputError::InputError;
};

}  // namespace weft
