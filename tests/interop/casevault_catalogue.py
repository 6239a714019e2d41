"""The catalogue of docs/format.md (7): who is in a vault, and who may do what in which case.

Part of casevault_reader.py, the independent reader.
"""
from dataclasses import dataclass, field

import casevault_sharing
from casevault_functions import (
    HASH, ID, NUMBER, SIGNATURE, TEXT, U32, USER, canonical, list_of, need, need_signature, one_of, shape, unbase64)

RANK = {None: 0, "read": 1, "add": 2, "manage": 3}
RIGHT, ROLE = one_of("read", "add", "manage"), one_of("owner", "member", "auditor")
SLOT = {"slot": NUMBER, "generation": U32, "slot_hash": HASH}

KINDS = {
    "found": {"organisation": TEXT, "user": USER, "certificate": SIGNATURE, **SLOT, "header": HASH, "handover": HASH,
              "role_keys": HASH},
    "user": {"user": USER, "role": ROLE, **SLOT, "handover": HASH, "role_keys": lambda v: v == "" or HASH(v)},
    "remove": {"user": ID},
    "slot": SLOT,
    "epoch": {"epoch": U32, "header": HASH, "handover": HASH, "role_keys": list_of(shape(user=ID, key=HASH))},
    "case": {"case": ID, "number": NUMBER},
    "case-epoch": {"case": ID, "epoch": U32, "title": HASH,
                   "grants": list_of(shape(user=ID, right=RIGHT, key=HASH))},
    "grant": {"case": ID, "epoch": U32, "user": ID, "right": RIGHT, "key": HASH},
    "case-head": {"case": ID, "epoch": U32, "count": NUMBER, "hash": HASH},
    "close": {"case": ID},
    **casevault_sharing.KINDS,
}


@dataclass
class User:
    id: str
    name: str
    sign: bytes
    box: bytes
    role: str
    role_keys: str  # hash of a blob, or ""
    slot: int = None
    generation: int = -1
    slot_hash: str = None
    removed: int = None  # log_size of the statement that removed them


@dataclass
class Grant:
    log_size: int
    user: str
    right: str
    key: str


@dataclass
class Case:
    id: str
    number: int
    creator: str
    epoch: int = 0
    title: str = None
    closed: int = None  # log_size of the statement that closed it
    grants: dict = field(default_factory=dict)  # of each epoch: list of Grant
    ended: dict = field(default_factory=dict)  # of each epoch but the current: log_size of the statement that ended it
    heads: list = field(default_factory=list)  # the statements `case-head`

    def right(self, user, epoch, log_size):
        """The right of a User at a statement of that epoch that cites log_size."""
        if any(end is not None and end <= log_size for end in (user.removed, self.ended.get(epoch))):
            return None
        rights = [g.right for g in self.grants.get(epoch, ()) if g.user == user.id and g.log_size <= log_size]
        return rights[-1] if rights else None

    def grant_of(self, user):
        grants = [grant for grant in self.grants.get(self.epoch, ()) if grant.user == user.id]
        return grants[-1] if grants else None


class Catalogue(casevault_sharing.Sharing):
    """Replays the catalogue's chain: each statement must be allowed by the state before it."""

    def __init__(self, chain, vault_id, root_key):
        super().__init__()
        self.chain, self.vault_id, self.root_key = chain, vault_id, root_key
        self.users, self.cases = {}, {}  # by id
        need(len(chain) > 0, "catalogue: is empty")
        for n in range(1, len(chain) + 1):
            self.what = chain.name(n)
            self.apply(n, chain.statements[n])

    def apply(self, n, s):
        need((s["kind"] == "found") == (n == 1), f"{self.what}: `found` is the first, and only the first")
        if n == 1:
            self.on_found(s)
        else:
            self.need_active(s["by"])
            self.chain.need_signature(n, self.users[s["by"]].sign)
            getattr(self, "on_" + s["kind"].replace("-", "_"))(s)

    def active(self):
        return [user for user in self.users.values() if user.removed is None]

    # Conditions

    def need_active(self, user):
        need(user in self.users and self.users[user].removed is None, f"{self.what}: {user} is no active user")

    def need_owner(self, s):
        need(self.users[s["by"]].role == "owner", f"{self.what}: by no owner")

    def need_right(self, s, case, right):
        has = case.right(self.users[s["by"]], case.epoch, s["log_size"])
        need(RANK[has] >= RANK[right], f"{self.what}: not by somebody with the right to {right}")

    def the_case(self, s):
        need(s["case"] in self.cases, f"{self.what}: there is no such case")
        return self.cases[s["case"]]

    # Users

    def on_found(self, s):
        user = s["user"]
        need(s["by"] == user["id"], f"{self.what}: not by the user whom it names")
        need_signature(bytes.fromhex(self.root_key), "casevault/v1/root-certificate", self.vault_id + canonical(user),
                       unbase64(s["certificate"], self.what), f"{self.what}: root certificate")
        self.add_user(s, "owner")
        self.chain.need_signature(1, self.users[user["id"]].sign)
        self.organisation, self.epoch = s["organisation"], 1
        self.header, self.handover = s["header"], s["handover"]

    def on_user(self, s):
        self.need_owner(s)
        need((s["role_keys"] == "") == (s["role"] == "member"), f"{self.what}: role keys do not fit the role")
        self.add_user(s, s["role"])
        self.handover = s["handover"]

    def add_user(self, s, role):
        user = s["user"]
        need(user["id"] not in self.users and user["name"] not in [other.name for other in self.active()],
             f"{self.what}: the user is not new")
        added = User(user["id"], user["name"], bytes.fromhex(user["sign"]), bytes.fromhex(user["box"]), role,
                     s["role_keys"])
        self.set_slot(added, s)
        self.users[added.id] = added

    def set_slot(self, user, s):
        need(s["slot"] < 64 and s["slot"] not in [other.slot for other in self.active()],
             f"{self.what}: slot {s['slot']} is not free")
        need(s["generation"] > user.generation, f"{self.what}: the generation does not grow")
        user.slot, user.generation, user.slot_hash = s["slot"], s["generation"], s["slot_hash"]

    def on_slot(self, s):
        self.set_slot(self.users[s["by"]], s)

    def on_remove(self, s):
        self.need_owner(s)
        self.need_active(s["user"])
        need(s["user"] != s["by"], f"{self.what}: removes themselves")
        self.users[s["user"]].removed = s["log_size"]
        self.sealed_keys.pop(s["user"], None)

    def on_epoch(self, s):
        self.need_owner(s)
        need(s["epoch"] == self.epoch + 1, f"{self.what}: the epoch does not follow")
        given = {item["user"]: item["key"] for item in s["role_keys"]}
        holders = {user.id for user in self.active() if user.role != "member"}
        need(len(given) == len(s["role_keys"]) and set(given) in ([holders] if s["header"] != self.header else
                                                                  [holders, set()]),
             f"{self.what}: role keys are not for the active owners and auditors")
        for user, key in given.items():
            self.users[user].role_keys = key
        self.epoch, self.header, self.handover = s["epoch"], s["header"], s["handover"]

    # Cases

    def on_case(self, s):
        need(self.users[s["by"]].role in ("owner", "member"), f"{self.what}: an auditor makes no case")
        need(s["case"] not in self.cases and s["number"] == len(self.cases) + 1, f"{self.what}: the case is not new")
        self.cases[s["case"]] = Case(s["case"], s["number"], s["by"])

    def on_case_epoch(self, s):
        case = self.the_case(s)
        need(s["epoch"] == case.epoch + 1, f"{self.what}: the epoch does not follow")
        for item in s["grants"]:
            self.need_active(item["user"])
        given = {item["user"]: item["right"] for item in s["grants"]}
        need(given and len(given) == len(s["grants"]), f"{self.what}: grants to nobody, or two to one user")
        if case.epoch == 0:
            need(s["by"] == case.creator and given == {s["by"]: "manage"}, f"{self.what}: not the creator's own")
        else:
            self.need_right(s, case, "add")
            self.need_no_more(s, case, given)
        case.ended[case.epoch] = s["log_size"]
        case.epoch, case.title = s["epoch"], s["title"]
        case.grants[case.epoch] = [Grant(s["log_size"], g["user"], g["right"], g["key"]) for g in s["grants"]]

    def need_no_more(self, s, case, given):
        for user in self.users.values():
            before, after = RANK[case.right(user, case.epoch, s["log_size"])], RANK[given.get(user.id)]
            need(after <= before, f"{self.what}: gives {user.name} more than before")
            if after < before:
                self.need_right(s, case, "manage")

    def on_grant(self, s):
        case = self.the_case(s)
        self.need_right(s, case, "manage")
        self.need_active(s["user"])
        need(s["epoch"] == case.epoch, f"{self.what}: not of the current epoch")
        case.grants[case.epoch].append(Grant(s["log_size"], s["user"], s["right"], s["key"]))

    def on_case_head(self, s):
        case = self.the_case(s)
        self.need_right(s, case, "add")
        need(s["epoch"] == case.epoch, f"{self.what}: not of the current epoch")
        before = case.heads[-1] if case.heads else {"count": 0, "hash": "00" * 32}
        same = (s["count"], s["hash"]) == (before["count"], before["hash"])
        need(same or s["count"] > before["count"], f"{self.what}: the case shrinks")
        need(same or all(self.users[grant.user].removed is None for grant in case.grants[case.epoch]),
             f"{self.what}: adds under a key that a removed user has")
        case.heads.append(s)

    def on_close(self, s):
        case = self.the_case(s)
        self.need_right(s, case, "manage")
        need(case.closed is None, f"{self.what}: is closed already")
        case.closed = s["log_size"]
