"""What the catalogue says about sharing (docs/format.md section 7): the organisation's keys, contacts, bundles.

Part of casevault_reader.py, the independent reader.
"""
from casevault_functions import HASH, ID, NUMBER, TEXT, list_of, need, shape

KEY_TEXT = lambda value: TEXT(value) and 0 < len(value.encode()) <= 4096
PEER = shape(vault=ID, root=HASH, log_size=NUMBER, log_root=HASH, removed=list_of(shape(user=ID, log_size=NUMBER)))

KINDS = {
    "organisation": {"age": KEY_TEXT, "sign": HASH, "keys": list_of(shape(user=ID, key=HASH))},
    "organisation-key": {"user": ID, "key": HASH},
    "contact": {"name": TEXT, "age": KEY_TEXT, "sign": KEY_TEXT},
    "contact-remove": {"contact": TEXT},
    "share": {"bundle": HASH, "contacts": list_of(TEXT)},
    "receipt": {"bundle": HASH, "contact": TEXT, "receipt": HASH},
    "receive": {"bundle": HASH, "contact": TEXT, "cases": list_of(shape(**{"from": TEXT, "case": ID})),
                "peer": lambda value: value is None or PEER(value)},
    "receive-done": {"bundle": HASH},
}


class Sharing:
    """Mixed into the catalogue: replays these statements."""

    def __init__(self):
        self.organisation_keys, self.sealed_keys = [], {}  # oldest first; user → hash of a blob
        self.contacts, self.shared, self.received = {}, {}, {}  # by name; by bundle
        self.receipts = {}  # (bundle, contact) → hash of a blob

    def need_sharer(self, s):
        need(self.users[s["by"]].role != "auditor", f"{self.what}: by an auditor")

    def holders(self):
        return {user.id for user in self.active() if user.role != "auditor"}

    def need_contact(self, name):
        need(name in self.contacts, f"{self.what}: {name} is no contact")

    def on_organisation(self, s):
        self.need_owner(s)
        keys = {item["user"]: item["key"] for item in s["keys"]}
        need(len(keys) == len(s["keys"]) and set(keys) == self.holders(),
             f"{self.what}: its keys are not for the active owners and members")
        need((s["age"], s["sign"]) not in self.organisation_keys, f"{self.what}: keys that were there before")
        self.organisation_keys.append((s["age"], s["sign"]))
        self.sealed_keys = keys

    def on_organisation_key(self, s):
        self.need_owner(s)
        need(s["user"] in self.holders() and s["user"] not in self.sealed_keys, f"{self.what}: a key for nobody")
        self.sealed_keys[s["user"]] = s["key"]

    def on_contact(self, s):
        self.need_sharer(s)
        need(s["name"] not in self.contacts and s["sign"] not in [c["sign"] for c in self.contacts.values()],
             f"{self.what}: the contact is not new")
        self.contacts[s["name"]] = {"age": s["age"], "sign": s["sign"], "peer": None}

    def on_contact_remove(self, s):
        self.need_sharer(s)
        self.need_contact(s["contact"])
        del self.contacts[s["contact"]]

    def on_share(self, s):
        self.need_sharer(s)
        need(s["contacts"] and s["bundle"] not in self.shared, f"{self.what}: shared with nobody, or twice")
        for name in s["contacts"]:
            self.need_contact(name)
        self.shared[s["bundle"]] = s["contacts"]

    def on_receipt(self, s):
        self.need_sharer(s)
        key = (s["bundle"], s["contact"])
        need(s["contact"] in self.shared.get(s["bundle"], ()) and key not in self.receipts,
             f"{self.what}: a receipt for what was not shared, or a second one")
        self.receipts[key] = s["receipt"]

    def on_receive(self, s):
        self.need_sharer(s)
        self.need_contact(s["contact"])
        froms = [item["from"] for item in s["cases"]]
        need(s["bundle"] not in self.received and len(set(froms)) == len(froms), f"{self.what}: received twice")
        contact = self.contacts[s["contact"]]
        if s["peer"] is not None:
            known = contact["peer"]
            need(known is None or all(known[k] == s["peer"][k] for k in ("vault", "root")),
                 f"{self.what}: from another vault than before")
            contact["peer"] = s["peer"]
        self.received[s["bundle"]] = {"contact": s["contact"], "whole": False}

    def on_receive_done(self, s):
        self.need_sharer(s)
        need(s["bundle"] in self.received and not self.received[s["bundle"]]["whole"],
             f"{self.what}: not under way")
        self.received[s["bundle"]]["whole"] = True
