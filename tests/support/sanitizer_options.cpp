// Run-time options of the sanitizers, linked into every program of a sanitized build, so that they hold however a test
// starts it. A report ends the program with status 99, which no command of casevault uses, so no test can take it for a
// refusal. (An ASAN_OPTIONS and so on in the environment still goes first.)
#define OPTIONS extern "C" __attribute__((visibility("default"), used))

OPTIONS const char* __asan_default_options() { return "exitcode=99:halt_on_error=1:detect_stack_use_after_return=1"; }
OPTIONS const char* __lsan_default_options() { return "exitcode=99"; }
OPTIONS const char* __ubsan_default_options() { return "exitcode=99:halt_on_error=1:print_stacktrace=1"; }
OPTIONS const char* __tsan_default_options() { return "exitcode=99:halt_on_error=1"; }
