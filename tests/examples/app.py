from urllib.parse import unquote
from flask import Flask, Response, request
from markupsafe import escape

app = Flask(__name__)

@app.post("/login")  # check the password here
def login():
    user = request.form["user"].encode().decode("latin-1")  # a header's bytes, as WSGI spells them
    return Response(status=303, headers={"Location": "/", "X-Session-User": user})

@app.get("/")
def home():
    return f"Hello {escape(unquote(request.headers['X-User-Id']))}"
