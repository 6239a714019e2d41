#!/usr/bin/python3
"""Checks the rules that keep the layers apart and the sources alike; see CONTRIBUTING.md.

lint.py [ROOT]      checks the project; prints `path:line: rule: message`; exit status 1 when there is anything
lint.py --selftest  proves that every rule fires on its own bad example, and stays silent on its good one
"""
import os
import re
import sys

# Files outside crypto/ that may reach the bytes of a secret, each with the reason.
MAY_EXPOSE_SECRETS = {
    "vault/storage/database.cpp": "the raw key of a database has to be given to SQLCipher",
    "vault/storage/database.h": "keys of bodies are kept in the encrypted database of their case",
    "vault/access/strength.cpp": "a passphrase has to be given to zxcvbn to be rated",
    "cli/terminal.cpp": "a passphrase is typed into guarded memory here",
    "vault/raid/secret_pipe.cpp": "a passphrase goes to the keeper through a pipe",
}
# Files that may write, sync or rename files, each with the reason.
MAY_WRITE_FILES = {
    "vault/storage/file.cpp": "the one seam for all file writing, so that tests can fail it",
    "vault/storage/new_file.cpp": "files that have no name until they are whole, for the seam's other half",
}

# Files that may open files with flags that do not show on the line, each with the reason.
MAY_OPEN_FILES = {
    "cli/terminal.cpp": "the terminal is opened to read and write",
    "cli/guarded.cpp": "the terminal is opened to be lent to a command in the guard",
    "vault/records/walk.cpp": "what is to be added is opened to read, step by step from the folder above it",
}

LAYERS = ("crypto", "vault", "cli", "tests")
CPP = (".cpp", ".h")
TEXT = (*CPP, ".py", ".sh", ".cmake", "CMakeLists.txt", "test.sh", "quickstart.sh", ".ci/run")
MAX_LINE = 120  # characters


def layer(path):
    return path.split("/")[0]


def is_cpp(path):
    return path.endswith(CPP)


def cpp_outside(*prefixes):
    """Whether a path is C++ of ours and begins with none of the prefixes."""
    return lambda path: is_cpp(path) and not path.startswith(prefixes)


def cpp_outside_files(allowed):
    return lambda path: is_cpp(path) and layer(path) != "tests" and path not in allowed


def included(line):
    match = re.match(r'\s*#\s*include\s*"([^"]*)"', line)
    return match and match.group(1)


def backwards_include(path, line):
    name = included(line)
    if name and layer(name) in LAYERS and LAYERS.index(layer(name)) > LAYERS.index(layer(path)):
        return f"{layer(path)}/ must not include {layer(name)}/"
    return None


def relative_include(_, line):
    name = included(line)
    if name and (layer(name) not in LAYERS or "/" not in name or ".." in name):
        return f'"{name}" is not written from the root of the project'
    return None


def forbid(pattern, message):
    regex = re.compile(pattern)
    return lambda _, line: message if regex.search(line) else None


def opens_to_write(_, line):
    """Whether a line opens a file otherwise than plainly to read; flags that do not show count as such."""
    opens = re.search(r"(?<![\w>])::open(at)?\s*\(", line)
    if opens and (not re.search(r"\bO_(RDONLY|PATH|DIRECTORY)\b", line) or re.search(r"\bO_(CREAT|TRUNC)\b", line)):
        return "vault/storage/file.cpp opens files for writing; to read, show O_RDONLY"
    return None


class Rule:
    """A name, the files it is for, and a check of one line. `code` rules do not look at comments."""

    def __init__(self, name, applies, check, bad, good, code=True):
        self.name, self.applies, self.check, self.code = name, applies, check, code
        self.bad, self.good = bad, good  # examples, as (path, line)


RULES = [
    Rule("layer", is_cpp, backwards_include,
         bad=[("crypto/a.h", '#include "vault/vault.h"'), ("crypto/a.h", '#include "cli/run.h"'),
              ("vault/a/b.cpp", '#include "cli/run.h"'), ("cli/a.cpp", '#include "tests/support/x.h"')],
         good=[("cli/a.cpp", '#include "vault/vault.h"'), ("vault/a.cpp", '#include "crypto/aead.h"')]),
    Rule("include-path", is_cpp, relative_include,
         bad=[("crypto/a.cpp", '#include "aead.h"'), ("vault/a.cpp", '#include "../crypto/aead.h"'),
              ("vault/a.cpp", '# include "storage/file.h"')],
         good=[("crypto/a.cpp", '#include "crypto/aead.h"'), ("crypto/a.cpp", "#include <vector>")]),
    Rule("crypto-libraries", cpp_outside("crypto/"),
         forbid(r"#\s*include\s*<(sodium|openssl/)", "belongs into crypto/"),
         bad=[("vault/a.cpp", "#include <sodium.h>"), ("tests/unit/a_test.cpp", "#include <openssl/evp.h>")],
         good=[("crypto/a.cpp", "#include <sodium.h>")]),
    Rule("sql", cpp_outside("vault/", "tests/"),
         forbid(r'sqlite3|<sqlcipher/|"(\w*\()?\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA)\b',
                "SQL belongs into vault/"),
         bad=[("cli/a.cpp", "#include <sqlite3.h>"), ("cli/a.cpp", "#include <sqlcipher/sqlite3.h>"),
              ("cli/a.cpp", 'run("SELECT 1");'), ("crypto/a.cpp", 'run(R"(INSERT INTO t");'),
              ("cli/a.cpp", 'f("UPDATE t");'), ("cli/a.cpp", 'f("DELETE FROM t");'),
              ("cli/a.cpp", 'f("CREATE TABLE t");'), ("cli/a.cpp", 'f("PRAGMA x");')],
         good=[("vault/a.cpp", 'run("SELECT 1");'), ("cli/a.cpp", '"Select a case"'),
               ("cli/a.cpp", "x();  // sqlite3")]),
    Rule("output", cpp_outside("cli/", "tests/"),
         forbid(r"std::(cout|cerr|clog)\b|(?<!\w)(f|d|vf|vd|v)?printf\s*\(", "only cli/ speaks to people"),
         bad=[("vault/a.cpp", "std::cout << 1;"), ("crypto/a.cpp", "std::cerr << 1;"), ("vault/a.cpp", 'printf("x");'),
              ("vault/a.cpp", 'std::fprintf(stderr, "x");')],
         good=[("cli/a.cpp", "std::cout << 1;"), ("vault/a.cpp", 'snprintf(b, 9, "x");')]),
    Rule("expose-secret", lambda path: cpp_outside_files(MAY_EXPOSE_SECRETS)(path) and layer(path) != "crypto",
         forbid(r"\bexpose_secret", "only crypto/ and the files named in tests/lint.py reach the bytes of a secret"),
         bad=[("vault/a.cpp", "key.expose_secret()"), ("cli/a.cpp", "key.expose_secret_for_writing()")],
         good=[("crypto/a.cpp", "key.expose_secret()"), ("vault/storage/database.cpp", "key.expose_secret()"),
               ("tests/unit/a_test.cpp", "key.expose_secret()"), ("vault/a.cpp", "x();  // not expose_secret")]),
    Rule("file-writing", cpp_outside_files(MAY_WRITE_FILES),
         forbid(r"std::o?fstream\b|(?<!\w)fopen\s*\(|(?<![\w>])::creat\s*\("
                r"|(?<!\w)(pwritev?|rename|renameat2?|fsync|fdatasync|ftruncate)\s*\(",
                "vault/storage/file.cpp does all file writing"),
         bad=[("cli/a.cpp", "std::ofstream out(p);"), ("vault/a.cpp", "::fsync(fd);"),
              ("vault/a.cpp", "std::fstream f;"), ("vault/a.cpp", "pwrite(fd, p, 1, 0);"),
              ("vault/a.cpp", "std::filesystem::rename(a, b);"), ("vault/records/walk.cpp", "::fsync(fd);")],
         good=[("vault/storage/file.cpp", "::fsync(fd);"), ("vault/a.cpp", "std::ifstream in(p);"),
               ("tests/unit/a_test.cpp", "std::ofstream out(p);"), ("vault/a.cpp", "int prefsync(int);")]),
    Rule("file-opening", cpp_outside_files({**MAY_WRITE_FILES, **MAY_OPEN_FILES}), opens_to_write,
         bad=[("vault/a.cpp", "::open(p, O_WRONLY)"), ("vault/a.cpp", "::open(p, flags)"),
              ("vault/a.cpp", "::openat(d, p, O_RDONLY | O_CREAT)")],
         good=[("vault/storage/file.cpp", "::open(p, O_WRONLY)"), ("vault/a.cpp", "Body::open(p)"),
               ("vault/a.cpp", "::open(p, O_RDONLY | O_CLOEXEC)"), ("tests/unit/a_test.cpp", "::open(p, O_WRONLY)")]),
    Rule("trailing-space", lambda path: path.endswith(TEXT), forbid(r"[ \t\r]+$", "white space at the end of a line"),
         bad=[("vault/a.cpp", "int a; "), ("tests/a.py", "a = 1\t")], good=[("vault/a.cpp", "int a;")], code=False),
    Rule("tab", is_cpp, forbid(r"\t", "a tab"),
         bad=[("vault/a.cpp", "\tint a;")], good=[("vault/a.cpp", "  int a;")], code=False),
    Rule("line-length", lambda path: path.endswith(CPP),
         lambda _, line: f"{len(line)} characters, more than {MAX_LINE}" if len(line) > MAX_LINE else None,
         bad=[("vault/a.cpp", "x" * 121)], good=[("vault/a.cpp", "ж" * 120)], code=False),
]
PRAGMA_BAD = [("vault/a.h", "int f();\n")]
PRAGMA_GOOD = [("vault/a.h", "#pragma once\nint f();\n"), ("vault/a.cpp", "int f();\n")]

TOKEN = re.compile(
    r'R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'|//[^\n]*|/\*.*?\*/', re.DOTALL)


def without_comments(text):
    """The same lines without what is a comment in C++."""
    return TOKEN.sub(lambda m: "\n" * m[0].count("\n") if m[0].startswith(("//", "/*")) else m[0], text)


def findings(path, text):
    """(line number, rule name, message) for everything wrong in a file."""
    found = []
    lines, code = text.split("\n"), without_comments(text).split("\n") if is_cpp(path) else []
    for rule in RULES:
        if rule.applies(path):
            for number, line in enumerate(code if rule.code else lines, 1):
                if message := rule.check(path, line):
                    found.append((number, rule.name, message))
    if path.endswith(".h") and "#pragma once" not in lines:
        found.append((1, "pragma-once", "a header begins with #pragma once"))
    return sorted(found)


def project_files(root):
    """Paths of our own sources, relative to the root."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in (".git", "build", "__pycache__"))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), root)
            if path.endswith(TEXT):
                yield path


def lint(root):
    count = 0
    for path in project_files(root):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            for number, rule, message in findings(path, file.read()):
                print(f"{path}:{number}: {rule}: {message}")
                count += 1
    for path in [*MAY_EXPOSE_SECRETS, *MAY_WRITE_FILES, *MAY_OPEN_FILES]:
        if not os.path.exists(os.path.join(root, path)):
            print(f"tests/lint.py:1: allow-list: {path} does not exist")
            count += 1
    print(f"{count} findings" if count else "clean")
    return 1 if count else 0


def selftest():
    examples = [(rule.name, rule.bad, rule.good) for rule in RULES] + [("pragma-once", PRAGMA_BAD, PRAGMA_GOOD)]
    failed = 0
    for name, bad, good in examples:
        for expected, cases in ((True, bad), (False, good)):
            for path, text in cases:
                if (name in [rule for _, rule, _ in findings(path, text)]) != expected:
                    print(f"rule {name} {'is silent on' if expected else 'fires on'} {path}: {text!r}")
                    failed += 1
    print(f"{len(examples)} rules, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(selftest() if sys.argv[1:] == ["--selftest"] else lint(sys.argv[1] if len(sys.argv) > 1 else "."))
