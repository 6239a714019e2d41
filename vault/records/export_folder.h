#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vault/records/walk.h"
#include "vault/storage/file.h"

namespace casevault {

/// Where an export goes. Every component below the folder is opened without following links, so that nothing put there
/// can lead the export elsewhere; files are written beside their place and moved there when they are whole, never over
/// something.
class ExportFolder {
 public:
  /// Makes the folder, not its parents, when it is missing.
  explicit ExportFolder(Path folder);

  /// What stands in the way of these paths, the first of it; nullopt when nothing does.
  static std::optional<std::string> find_conflict(const Path& folder, const std::vector<std::string>& paths);

  /// A file that is being written. Removed again unless published.
  class Partial {
   public:
    Partial(Partial&& other) noexcept;
    Partial& operator=(Partial&&) = delete;
    ~Partial();
    /// Hands a block to the system, which begins to write it to the disk.
    void write(std::uint64_t offset, ByteView block);

   private:
    friend class ExportFolder;
    Partial(const ExportFolder& owner, Path folder, const std::string& relative);
    const ExportFolder* owner_;
    Path folder_;  // by descriptor
    std::string name_;
    Path partial_;
    File file_;
    bool pending_ = true;
  };
  Partial create(const std::string& relative);
  /// Makes whole files durable and moves them to their places, with one sync for many. Calls `published` with the index
  /// of each that is there to stay, also when a later one fails. @throws Error{kUsage} when a name was taken meanwhile.
  void publish(std::vector<Partial>& files, const std::function<void(std::size_t)>& published);
  /// A small file, whole or not at all.
  void write_file(const std::string& name, ByteView content);

 private:
  int enter(const std::string& relative);
  template <typename Work>
  auto named(const Work& work) const;

  Path path_;
  std::map<std::string, Descriptor> folders_;  // by path below; "" is the folder itself
};

/// What goes out does not belong into the vault. @throws Error{kUsage} naming `what`.
void refuse_inside_vault(const Path& vault, const Path& target, const std::string& what);

}  // namespace casevault
