"""What is on the disk tells nothing: no title, name, text, witness, tag, reason, passphrase or content, in any usual
encoding, in any file of the vault, in what kill -9 leaves of a command, or anywhere else; and nothing is written
outside the vault and the folder exported to. Messages of commands that fail carry none of it either, beyond what was
typed.
"""
import base64
import json
import os
import re
import shutil
import urllib.parse

from harness import (DONE, NOT_FOUND, PASSPHRASES, UNDER_STRACE, FaultTest, Office, calls_in, copy_tree, files_of,
                     has_strace, main, noise, read, scratch, spread, strace, write)

# Single words, so that an index of words would be caught too. Latin ones are long enough not to occur by chance.
SECRETS = {
    "organisation": "Зимородок-Kingfisher",
    "owner": "Аграфена-Zvyozdochkina",
    "member": "Мстислав-Bogatyryov",
    "removed member": "Никанор-Departingclerk",
    "case title": "Переславль-Wrongdoing",
    "other case title": "Сестрорецк-Misconduct",
    "folder name": "вещдоки-exhibitroom",
    "file name": "показания-deposition",
    "large file name": "видеозапись-bodycamera",
    "title": "Подоконник-Windowledge",
    "tag": "избиение-brutality",
    "text": "ВОЗЛЕ-гаражей-stairwell",
    "newer text": "исправленный-Corrigendum",
    "large text": "Протокол-Interrogation",
    "witness": "Ласточка-Nightingale",
    "place": "Новохопёрск-Riverstation",
    "consent": "только-Strasbourgcourt",
    "testimony": "Электрошокер-Threatened",
    "testimony title": "Четверговая-Thursdaynight",
    "reason": "испугалась-Reconsidered",
    "query": "полицейский-Superintendent",
    "passphrase of the owner": PASSPHRASES["anna"],
    "passphrase of the member": PASSPHRASES["boris"],
}
ANNA, BORIS, NIKANOR = SECRETS["owner"], SECRETS["member"], SECRETS["removed member"]
KILLS = 16
OPENING = ("openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mknod,mknodat,"
           "memfd_create,connect")


def base64_forms(data):
    """What `data` looks like within base64, where it can begin at three places; its ends depend on the neighbours."""
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data)[4 if shift else 0:-4]
        yield encoded
        yield encoded.translate(bytes.maketrans(b"+/", b"-_"))


def forms_of(text):
    """The byte strings by which a word would be found: as it is written and as an index folds it."""
    for word in {text, text.lower(), text.upper()}:
        yield from (word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be"))
    for word in {text, text.lower()}:
        yield from (urllib.parse.quote(word).encode(), urllib.parse.quote(word).lower().encode(),
                    word.encode().hex().encode(),
                    word.encode().hex().upper().encode(), json.dumps(word)[1:-1].encode())
        yield from base64_forms(word.encode())
        yield from base64_forms(word.encode("utf-16-le"))


def words_of(text):
    """An index keeps the words of a secret apart. Short ones occur by chance, so of a passphrase it is the whole."""
    return text.split("-") if "-" in text else [text]


NEEDLES = {form: what for what, text in SECRETS.items() for word in words_of(text) for form in forms_of(word)}


def leaks_in(data):
    if not data.strip(b"\0"):
        return []
    return sorted({what for form, what in NEEDLES.items() if form in data})


class LeakTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        cls.office = office = Office(scratch("leaks"))
        for name, like in ((ANNA, "anna"), (BORIS, "boris"), (NIKANOR, "vera")):
            office.set_passphrase(name, PASSPHRASES[like])
        cls.sources = os.path.join(office.root, "sources", SECRETS["folder name"])
        cls.small = write(os.path.join(cls.sources, SECRETS["file name"] + ".txt"),
                          f"Он стоял {SECRETS['text']} один.\n")
        cls.large = write(os.path.join(cls.sources, SECRETS["large file name"] + ".txt"),
                          f"{SECRETS['large text']} 1234 слова\n" * 2500)
        cls.newer = write(os.path.join(office.root, "newer.txt"), f"{SECRETS['newer text']}\n")
        cls.fill()
        cls.full = os.path.join(office.root, "full")
        copy_tree(office.vault, cls.full)

    @classmethod
    def fill(cls):
        office = cls.office

        def do(*args, user=ANNA, **options):
            return office.ok(*args, user=user, **options)

        do("init", "--organisation", SECRETS["organisation"], "--no-recovery")
        for name in (BORIS, NIKANOR):
            do("user", "join", name, user=name)
            do("user", "approve", name, "--yes")
        do("case", "new", SECRETS["case title"])
        do("case", "new", SECRETS["other case title"])
        do("case", "grant", "C-1", BORIS, "--right", "add")
        do("add", "C-1", cls.sources, "--title", SECRETS["title"], "--tag", SECRETS["tag"])
        do("testimony", "add", "C-1", "-", "--title", SECRETS["testimony title"], "--witness", SECRETS["witness"],
           "--place", SECRETS["place"],
           "--consent", SECRETS["consent"], "--language", "ru", stdin=f"{SECRETS['testimony']} и ушёл.\n".encode())
        do("update", "C-1/E-2", cls.newer, user=BORIS)
        do("search", SECRETS["query"])
        do("add", "C-2", cls.small, cls.large)
        do("withdraw", "C-2/E-2", "--reason", SECRETS["reason"], "--yes")
        do("user", "remove", NIKANOR, "--yes")
        office.run("status", user=ANNA.lower())  # a failed attempt is logged with the name that was typed

    def setUp(self):
        copy_tree(self.full, self.office.vault)

    def check_no_leak(self, folder):
        for path in files_of(folder):
            self.assertEqual(leaks_in(os.fsencode(path)), [], f"in the name of {path}")
            self.assertEqual(leaks_in(read(os.path.join(folder, path))), [], f"in {path}")

    def check_nothing_left_outside(self):
        for folder in (self.office.home, self.office.tmp):
            self.assertEqual(os.listdir(folder), [])

    # The rig

    def test_the_search_finds_each_form(self):
        """A positive control: planted in the middle of noise, every secret is found in every encoding."""
        for what, text in SECRETS.items():
            for encode in (str.encode, lambda t: t.encode("utf-16-le"), lambda t: urllib.parse.quote(t).encode(),
                           lambda t: t.encode().hex().encode(),
                           lambda t: base64.b64encode(t.encode()), lambda t: base64.b64encode(b"x" + t.encode()),
                           lambda t: base64.b64encode(b"xy" + t.encode() + b"z"), lambda t: t.lower().encode()):
                self.assertIn(what, leaks_in(noise(5000) + encode(text) + noise(5000)), f"{encode(text)}")
        self.assertEqual(leaks_in(noise(4 << 20)), [])

    def test_the_vault_does_hold_them(self):
        """A positive control: everything is there for those who may read."""
        commands = (("status",), ("user", "list"), ("case", "list"), ("list", "C-1"), ("show", "C-1/E-1"),
                    ("show", "C-1/T-1"), ("cat", "C-1/E-1"), ("cat", "C-1/E-2"), ("cat", "C-1/T-1"),
                    ("show", "C-2/E-2"), ("cat", "C-1/E-2", "--version", "1"), ("history", "C-1/E-2"))
        shown = b"".join(self.office.ok(*command, user=ANNA).out for command in commands)
        self.assertEqual(set(SECRETS) - set(leaks_in(shown)),
                         {"passphrase of the owner", "passphrase of the member", "query"})

    # The vault

    def test_files_of_the_vault(self):
        self.check_no_leak(self.office.vault)
        self.check_nothing_left_outside()

    def test_what_kill_leaves(self):
        """Journals, partial files and bodies that commands leave when they are killed while they write."""
        if not has_strace():
            self.skipTest("strace cannot run here")
        commands = (("add", "C-2", self.sources), ("update", "C-1/E-1", self.large),
                    ("case", "new", SECRETS["other case title"]),
                    ("withdraw", "C-1/T-1", "--reason", SECRETS["reason"], "--yes"),
                    ("case", "revoke", "C-1", BORIS, "--yes"), ("user", "remove", BORIS, "--yes"))
        journals = 0
        for command in commands:
            log = self.office.fresh("strace")
            self.setUp()
            self.office.ok(*command, user=ANNA, under=strace(log), env=UNDER_STRACE)
            calls = calls_in(log)
            for at in spread(max(2, KILLS // len(commands)), len(calls)):
                call = calls[at]
                with self.subTest(command=command[:2], killed_at=str(call)):
                    self.setUp()
                    injection = ("-e", f"inject={call.name}:signal=KILL:when={call.number}")
                    self.office.run(*command, user=ANNA, under=strace(log, *injection), env=UNDER_STRACE,
                                    may_be_killed=True)
                    journals += sum(os.path.getsize(os.path.join(self.office.vault, path)) > 0
                                    for path in files_of(self.office.vault) if path.endswith("-journal"))
                    self.check_no_leak(self.office.vault)
                    self.check_nothing_left_outside()
        self.assertGreater(journals, 0, "no journal was left behind, so none was looked at")

    # Elsewhere

    def test_nothing_is_written_elsewhere(self):
        """What any command opens for writing, and every name it makes, is in the vault or the folder exported to."""
        if not has_strace():
            self.skipTest("strace cannot run here")
        if os.getuid() != 0:
            self.skipTest("only root sees the paths that a process which cannot be dumped opens")
        for i in range(1500):
            write(os.path.join(self.office.root, "many", str(i)), f"{i} {SECRETS['text']}\n" * 8)
        out = self.office.fresh("out")
        commands = (("add", "C-1", os.path.join(self.office.root, "many")), ("list", "C-1"),
                    ("search", words_of(SECRETS["text"])[0]), ("cat", "C-1/E-2"), ("export", "C-1", "--to", out),
                    ("verify",), ("audit", "show"), ("audit", "verify"), ("update", "C-1/E-1", self.large),
                    ("withdraw", "C-1/T-1", "--reason", SECRETS["reason"], "--yes"), ("case", "new", "x"),
                    ("user", "remove", BORIS, "--yes"))
        for command in commands:
            with self.subTest(command=command[:2]):
                log = self.office.fresh("strace")
                result = self.office.run(*command, user=ANNA, under=strace(log, calls=OPENING), env=UNDER_STRACE)
                self.assertEqual(result.status, DONE, str(result))
                allowed = (self.office.vault, out, "/proc/self/fd/")
                strange = [path for path in written_paths(log) if not path.startswith(allowed)]
                self.assertEqual(strange, [])
        shutil.rmtree(os.path.join(self.office.root, "many"))
        self.check_nothing_left_outside()
        self.check_no_leak(self.office.vault)

    def test_messages(self):
        """Of commands that fail: nothing on standard output, and on standard error no secret but those typed."""
        office = self.office
        weak = write(os.path.join(office.root, "weak"), SECRETS["title"][:10] + "\n")
        os.chmod(weak, 0o600)
        office.set_passphrase("wrong", PASSPHRASES["anna"] + "!")
        for user, *args in (
                ("wrong", "status"),
                (BORIS, "list", "C-2"), (BORIS, "cat", "C-2/E-1"),
                (BORIS, "export", "C-2", "--to", office.fresh("out")),
                (BORIS, "withdraw", "C-1/E-1", "--reason", "x", "--yes"), (BORIS, "audit", "show"),
                (BORIS, "user", "remove", "nobody", "--yes"),
                (NIKANOR, "list", "C-1"),
                (ANNA, "update", "C-1/E-9", self.newer), (ANNA, "cat", "C-2/E-2"),
                (ANNA, "withdraw", "C-2/E-2", "--reason", "again", "--yes"),
                (ANNA, "withdraw", "C-1/E-1", "--reason", "x"), (ANNA, "cat", "C-1/E-1", "--range", "999999-"),
                (ANNA, "cat", "C-1/E-1", "--version", "9"), (ANNA, "user", "approve", "nobody"),
                (ANNA, "case", "revoke", "C-1", "nobody"), (ANNA, "init", "--organisation", "x", "--no-recovery")):
            self.check_failure(args, {"user": user})
        self.check_failure(("user", "join", "newcomer", "--passphrase-file", weak),
                           {"user": "newcomer", "passphrase": False})
        for body in files_of(os.path.join(office.vault, "bodies")):
            os.truncate(os.path.join(office.vault, "bodies", body), 1000)
        self.check_failure(("cat", "C-1/E-1"), {"user": ANNA})
        self.check_failure(("export", "C-1", "--to", office.fresh("out")), {"user": ANNA})
        for path in files_of(os.path.join(office.vault, "cases")):
            with open(os.path.join(office.vault, "cases", path), "r+b") as file:
                file.seek(5000)
                file.write(b"damage")
        for args in (("list", "C-1"), ("cat", "C-1/E-1"), ("search", "x"), ("show", "C-1/T-1"),
                     ("export", "C-1", "--to", office.fresh("out"))):
            self.check_failure(args, {"user": ANNA})

    def check_failure(self, args, options):
        with self.subTest(command=args[:3], **options):
            result = self.office.run(*args, **options)
            self.assertNotIn(result.status, (DONE, 3), str(result))
            self.assertEqual(result.out, b"", str(result))
            typed = " ".join((*args, options["user"])).encode()
            self.assertLessEqual(set(leaks_in(result.err)), set(leaks_in(typed)), str(result))

    # Withdrawal

    def test_withdrawn(self):
        """The database of the old key, bodies and content are gone; that it was there, and why it went, stays."""
        office = self.office
        before = set(files_of(office.vault))
        office.ok("withdraw", "C-1/E-1", "--reason", SECRETS["reason"], "--yes", user=ANNA)
        after = set(files_of(office.vault))
        self.assertEqual(sorted(path.split("/")[0] for path in before - after), ["bodies", "cases", "cases"],
                         "body, database and its journal go")
        self.assertEqual(sorted(path.split("/")[0] for path in after - before), ["cases", "cases"])
        result = office.run("cat", "C-1/E-1", user=ANNA)
        self.assertEqual((result.status, result.out), (NOT_FOUND, b""), str(result))
        gone = {"large file name", "large text"}
        for command in (("show", "C-1/E-1"), ("history", "C-1/E-1"), ("list", "C-1"),
                        ("search", words_of(SECRETS["large text"])[0]), ("audit", "show")):
            self.assertEqual(gone & set(leaks_in(office.ok(*command, user=ANNA).out)), set(), str(command))
        self.assertIn(SECRETS["reason"], office.ok("show", "C-1/E-1", user=ANNA).text)
        self.assertNotIn("C-1/E-1", office.contents("C-1", user=ANNA))
        office.check_clean(user=ANNA)
        self.check_no_leak(office.vault)


def written_paths(log):
    """The paths of a strace log that were opened for writing, made or renamed to; and calls that need no path."""
    for line in read(log).decode("utf-8", "replace").splitlines():
        match = re.match(r"\d+ +(\w+)\((.*)", line)
        if not match or re.search(r"\) += -1 ", line):  # also the C library's question to nscd, which does not run
            continue
        call, rest = match.groups()
        if call in ("memfd_create", "connect"):
            yield f"{call}({rest}"
        elif call not in ("openat", "open") or re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", rest):
            yield from (unescape(path) for path in re.findall(r'"((?:[^"\\]|\\.)*)"', rest))


def unescape(text):
    """strace writes bytes outside ASCII as octal escapes."""
    data = re.sub(rb"\\(\d{1,3})", lambda found: bytes([int(found.group(1), 8)]), text.encode())
    return data.decode("utf-8", "replace")


if __name__ == "__main__":
    main()
