"""A service: an ordinary class, the catalogue of a library, served to any number of readers by a daemon of its own.

The class knows nothing of agentlab. There is one catalogue, and the calls of all readers wait for their turn.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import sleep

from agentlab import Proxy, Service, run_daemon, run_nameserver


@dataclass
class Book:
    title: str
    copies: int = 1


class AllLentError(Exception):
    pass


class Catalogue:
    def __init__(self, library):
        self.library, self.books = library, {}

    def add(self, book):
        self.books[book.title] = book

    def lend(self, title):
        sleep(0.01)  # the way to the shelf
        if self.books[title].copies == 0:
            raise AllLentError(f"all copies of {title} are lent")
        self.books[title].copies -= 1
        return f"{title} is yours"


def borrow(title):
    try:
        return Proxy("catalogue").lend(title)
    except AllLentError as error:  # the service's own exception
        return str(error)


def main():
    ns = run_nameserver()
    daemon = run_daemon("library", [Service(Catalogue, "catalogue", parameters={"library": "City Library"})])
    catalogue = Proxy("catalogue")
    catalogue.add(Book("Optics", copies=2))
    print(catalogue.library, "has", catalogue.books)
    with ThreadPoolExecutor() as readers:
        print(*sorted(readers.map(borrow, ["Optics"] * 4)), sep="\n")
    print("answered beside the queue:", catalogue.ping(), daemon.services()["catalogue"]["state"])
    daemon.shutdown()
    ns.shutdown()


if __name__ == "__main__":
    main()
