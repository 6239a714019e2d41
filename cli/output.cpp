#include "cli/output.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "cli/format.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr auto kBeforeBar = std::chrono::seconds(1);
constexpr auto kBetweenBars = std::chrono::milliseconds(100);
constexpr std::uint64_t kBarWidth = 24;  // characters
constexpr const char* kClearLine = "\r\x1b[K";

std::string padding(std::string_view text, std::size_t width) {
  return std::string(width - std::min(width, display_width(text)), ' ');
}

}  // namespace

void Output::check_written() {
  if (process_.out) return;
  const int error = process_.output_error ? process_.output_error() : 0;
  if (error == EPIPE) throw OutputClosed{};
  if (error == EINTR) throw Error(Errc::kInterrupted, "interrupted");
  const Errc code = error == ENOSPC || error == EDQUOT || error == EFBIG ? Errc::kNoSpace : Errc::kInternal;
  throw Error(code, std::string("cannot write to standard output: ") + std::strerror(error));
}

void Output::text(std::string_view text) {
  clear_bar();
  process_.out << text;
  if (process_.out_is_terminal) process_.out.flush();
  check_written();
}

void Output::line(std::string_view text) { this->text(escape_for_display(text) + "\n"); }

void Output::object(const nlohmann::ordered_json& object) {
  text(object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void Output::raw(ByteView content) {
  clear_bar();
  const std::string_view text = as_text(content);
  process_.out.write(text.data(), static_cast<std::streamsize>(text.size()));
  check_written();
}

void Output::flush() {
  process_.out.flush();
  check_written();
}

void Output::say(std::string_view kind, std::string_view text) {
  clear_bar();
  process_.out.flush();  // in the order of events where both go to one terminal or file
  process_.err << "casevault: " << kind << escape_for_display(text) << "\n" << std::flush;
}

void Output::note(std::string_view text) {
  if (!quiet_) say("", text);
}
void Output::warning(std::string_view text) { say("warning: ", text); }
void Output::error(std::string_view text) { say("error: ", text); }
void Output::hint(std::string_view text) { say("hint: ", text); }
void Output::next(std::string_view text) {
  if (!quiet_) hint(text);
}

void Output::progress(std::string_view what, std::uint64_t done, std::uint64_t total) {
  if (!process_.err_is_terminal || quiet_) return;
  const auto now = Clock::now();
  if (work_began_ == Clock::time_point{}) work_began_ = now;
  if (now - work_began_ < kBeforeBar || now - bar_drawn_ < kBetweenBars) return;
  bar_drawn_ = now;
  bar_shown_ = true;
  const double part = total == 0 ? 0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto full = static_cast<std::size_t>(part * kBarWidth);
  process_.err << kClearLine << "casevault: " << what << " [" << std::string(full, '#')
               << std::string(kBarWidth - full, '.') << "] " << static_cast<int>(part * 100) << "% of "
               << size_for_people(total) << std::flush;
}

void Output::clear_bar() {
  if (!bar_shown_) return;
  process_.err << kClearLine << std::flush;
  bar_shown_ = false;
}

void Output::end_progress() {
  clear_bar();
  work_began_ = {};
}

void Table::add(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = escape_for_display(cell);
  rows_.push_back(std::move(cells));
}

void Table::print(Output& output) const {
  if (rows_.empty()) return;
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = display_width(columns_[i].head);
    for (const auto& row : rows_) width = std::max(width, display_width(row[i]));
    widths.push_back(width);
  }
  const auto print_row = [&](auto&& cell_at) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& cell = cell_at(i);
      const std::string space = padding(cell, widths[i]);
      text += columns_[i].align == Align::kRight ? space + cell : cell + space;
      if (i + 1 < columns_.size()) text += "  ";
    }
    text.erase(text.find_last_not_of(' ') + 1);
    output.text(text + "\n");
  };
  print_row([&](std::size_t i) -> const std::string& { return columns_[i].head; });
  for (const auto& row : rows_) print_row([&](std::size_t i) -> const std::string& { return row[i]; });
}

void Facts::add(std::string name, const std::string& value) {
  if (!value.empty()) rows_.emplace_back(std::move(name), escape_for_display(value));
}

void Facts::print(Output& output) const {
  std::size_t width = 0;
  for (const auto& [name, value] : rows_) width = std::max(width, display_width(name));
  for (const auto& [name, value] : rows_) {
    std::string line = name + ":" + padding(name, width);
    line.append("  ").append(value).append("\n");
    output.text(line);
  }
}

}  // namespace casevault
