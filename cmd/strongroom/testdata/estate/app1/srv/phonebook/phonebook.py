"""A phone book: GET /people/NAME answers with the number of a colleague.

Who asks gives a name and a password, with which phonebook logs in to the
directory. The numbers are in a database. Both servers it knows by name.
"""

import base64
import http.server
import os
import threading
import urllib.parse

import ldap
import ldap.dn
import psycopg2

lock = threading.Lock()
database = psycopg2.connect(os.environ["DATABASE_URL"])
database.autocommit = True


def knows(authorization):
    """Tells whether the directory knows who asks."""
    try:
        name, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":", 1)
    except ValueError:
        return False
    if not password:  # to a directory, that is nobody, who may log in
        return False
    try:
        directory = ldap.initialize(os.environ["LDAP_URL"])
        directory.simple_bind_s(f"uid={ldap.dn.escape_dn_chars(name)},ou=people,dc=acme,dc=example", password)
        directory.unbind_s()
    except ldap.INVALID_CREDENTIALS:
        return False
    return True


def number(name):
    with lock, database.cursor() as cursor:
        cursor.execute("SELECT number FROM people WHERE name = %s", (name,))
        row = cursor.fetchone()
    return row and row[0]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if not knows(self.headers.get("Authorization", "")):
            return self.answer(401, "who are you?")
        found = number(urllib.parse.unquote(self.path.removeprefix("/people/")))
        return self.answer(200, found) if found else self.answer(404, "nobody")

    def answer(self, status, text):
        body = (text + "\n").encode()
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="phonebook"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
