#include "text/finder.h"

namespace weft::text {

Finder::Finder(const SearchFor& what, const std::string& file) {
  // The empty text matches everywhere, as an empty expression does.
  if (what.regex || what.text.empty())
    regex_.emplace(what.text, file);
  else
    text_ = what.text;
}

void Finder::find_all(std::string_view text, std::vector<std::pair<size_t, size_t>>& matches) const {
  if (regex_) return regex_->find_all(text, matches);
  for (size_t at = text.find(text_); at != std::string_view::npos; at = text.find(text_, at + text_.size()))
    matches.emplace_back(at, at + text_.size());
}

}  // namespace weft::text
