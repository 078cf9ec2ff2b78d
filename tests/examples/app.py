# flask --app app run --port 9000
import re
from urllib.parse import unquote
from flask import Flask, Response, request
from markupsafe import escape

app = Flask(__name__)

@app.get("/login")  # the form is sent to this address, with its ?next=
def form():
    return ('<form method="post">User <input name="user"> Password <input name="password" type="password"> '
            '<button>Log in</button></form>')

@app.post("/login")  # check the password here
def login():
    user = request.form["user"].encode().decode("latin-1")  # a header's bytes, as WSGI spells them
    page = re.fullmatch(r"/(?![/\\])[!-~]*", request.args.get("next", "/"))  # of this site, and of no other
    return Response(status=303, headers={"Location": page[0] if page else "/", "X-Session-User": user})

@app.get("/")
def home():
    return f"Hello {escape(unquote(request.headers['X-User-Id']))}"
