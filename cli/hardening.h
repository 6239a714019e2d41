#pragma once

namespace casevault {

/// First thing in `main`: no core dumps and no debugger of another process, files only for oneself, no descriptors that
/// were left open by whoever started us, except those that an argument names as /dev/fd/N or /proc/self/fd/N; standard
/// descriptors that are closed are tied to /dev/null, so that no vault file gets their number; randomness is there.
/// @throws Error{kInternal}: then nothing may be done.
void harden_process(int argc, char** argv);

/// SIGINT, SIGTERM and SIGHUP from now on only set a flag; a closed pipe or a file size limit is an error of the write.
void catch_signals();
/// True once one of those signals came.
bool was_interrupted() noexcept;

}  // namespace casevault
