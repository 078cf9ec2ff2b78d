"""Real web servers, each as lenient as its settings allow, and the requests that an app behind each gets.

nginx, apache2 and lighttpd pass all on to an app; the others run one of their own. Every app tells a request as a
query string, as its answer and as a line of its record: method, target, host, user, body. None ends a connection that
is idle: a POST that came at that moment would get a 502. "@NAME@" is filled in when a server starts.
"""

import pathlib
import re
from urllib.parse import parse_qsl, urlencode

from harness import http1
from harness.gateway import free_port
from harness.program import AppProgram
from harness.upstream import RecordingUpstream

TOLD = ("method", "target", "host", "user", "body")

WSGI = """\
from urllib.parse import urlencode

def app(environ, start_response):
    body = environ["wsgi.input"].read().decode("latin-1")
    line = urlencode({"method": environ["REQUEST_METHOD"], "target": environ["RAW_URI"], "host": environ["HTTP_HOST"],
                      "user": environ.get("HTTP_X_USER_ID", ""), "body": body}, encoding="latin-1").encode()
    with open("@FOLDER@/record", "ab", 0) as record:
        record.write(line + b"\\n")
    start_response("200 OK", [("Content-Length", str(len(line)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [line]
"""

NODE = """\
const fs = require("fs");
const server = require("http").createServer((request, response) => {
    const pieces = [];
    request.on("data", piece => pieces.push(piece)).on("end", () => {
        const line = Object.entries({
            method: request.method, target: request.url, host: request.headers["host"] || "",
            user: request.headers["x-user-id"] || "", body: Buffer.concat(pieces).toString("latin1"),
        }).map(([name, value]) => name + "=" + escape(value).replace(/\\+/g, "%2B")).join("&");
        fs.appendFileSync("@FOLDER@/record", line + "\\n");
        response.end(line);
    });
});
server.on("clientError", (error, socket) => {
    console.log("refused: " + error.code);
    socket.end("HTTP/1.1 400 Bad Request\\r\\n\\r\\n");
});
server.keepAliveTimeout = 600000;
server.listen(@PORT@, "127.0.0.1");
"""

PHP = """\
<?php
$line = http_build_query([
    "method" => $_SERVER["REQUEST_METHOD"], "target" => $_SERVER["REQUEST_URI"], "host" => $_SERVER["HTTP_HOST"] ?? "",
    "user" => $_SERVER["HTTP_X_USER_ID"] ?? "", "body" => file_get_contents("php://input")]);
file_put_contents("@FOLDER@/record", $line . "\\n", FILE_APPEND);
echo $line;
"""

# service() takes every method; a page of its own would refuse all but GET, HEAD and POST.
JSP = """\
<%@ page session="false" %><%!
    private static String told(String name, String value) throws java.io.IOException {
        return name + "=" + (value == null ? "" : java.net.URLEncoder.encode(value, "ISO-8859-1"));
    }
    private static String all(HttpServletRequest request, String name) {
        return String.join(",", java.util.Collections.list(request.getHeaders(name)));
    }
    public void service(jakarta.servlet.ServletRequest from, jakarta.servlet.ServletResponse to)
            throws java.io.IOException {
        HttpServletRequest request = (HttpServletRequest) from;
        String query = request.getQueryString();
        String body = new String(request.getInputStream().readAllBytes(), "ISO-8859-1");
        byte[] line = String.join("&", told("method", request.getMethod()),
            told("target", request.getRequestURI() + (query == null ? "" : "?" + query)),
            told("host", all(request, "Host")), told("user", all(request, "X-User-Id")), told("body", body)).getBytes();
        try (java.io.FileOutputStream record = new java.io.FileOutputStream("@FOLDER@/record", true)) {
            record.write((new String(line) + "\\n").getBytes());
        }
        to.setContentLength(line.length);
        to.getOutputStream().write(line);
    }
%>
"""

WEB_XML = """\
<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0" metadata-complete="true">
  <servlet><servlet-name>jsp</servlet-name><servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class></servlet>
  <servlet><servlet-name>app</servlet-name><jsp-file>/app.jsp</jsp-file><load-on-startup>1</load-on-startup></servlet>
  <servlet-mapping><servlet-name>app</servlet-name><url-pattern>/*</url-pattern></servlet-mapping>
</web-app>
"""

TOMCAT = """\
<Server port="-1"><Service name="Catalina">
  <Connector port="@PORT@" address="127.0.0.1" rejectIllegalHeader="false" relaxedPathChars="&quot;&lt;&gt;[\\]^`{|}"
             relaxedQueryChars="&quot;&lt;&gt;[\\]^`{|}" encodedSolidusHandling="passthrough" maxThreads="4"
             keepAliveTimeout="600000" maxKeepAliveRequests="-1"/>
  <Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps" autoDeploy="false">
    <Valve className="org.apache.catalina.valves.AccessLogValve" directory="@FOLDER@" prefix="access" suffix=".log"
           rotatable="false" buffered="false" pattern="%s %r"/>
  </Host></Engine>
</Service></Server>
"""

NGINX = """\
daemon off; master_process off; pid @FOLDER@/pid; error_log @FOLDER@/error.log;
events { worker_connections 64; }
http {
    log_format line '$status $request';
    access_log @FOLDER@/access.log line;
    keepalive_timeout 600s;
    client_body_temp_path @FOLDER@/body; proxy_temp_path @FOLDER@/proxy; fastcgi_temp_path @FOLDER@/fastcgi;
    uwsgi_temp_path @FOLDER@/uwsgi; scgi_temp_path @FOLDER@/scgi;
    ignore_invalid_headers off; underscores_in_headers on; merge_slashes off;
    server {
        listen 127.0.0.1:@PORT@;
        location / { proxy_pass http://127.0.0.1:@APP_PORT@; proxy_http_version 1.1; proxy_set_header Host $http_host; }
    }
}
"""

APACHE = """\
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
ServerName example.test
Listen 127.0.0.1:@PORT@
PidFile @FOLDER@/pid
DefaultRuntimeDir @FOLDER@
User www-data
StartServers 1
ThreadsPerChild 8
MaxRequestWorkers 8
KeepAliveTimeout 600
MaxKeepAliveRequests 0
ErrorLog @FOLDER@/error.log
LogFormat "%>s %r" line
CustomLog @FOLDER@/access.log line
HttpProtocolOptions Unsafe LenientMethods Allow0.9
AllowEncodedSlashes NoDecode
ProxyPreserveHost On
ProxyPass / http://127.0.0.1:@APP_PORT@/ nocanon
"""

# Normalization of URLs stays on, as the other options have no effect without it. A log file would come seconds later.
LIGHTTPD = """\
server.modules = ("mod_proxy", "mod_accesslog")
server.bind = "127.0.0.1"
server.port = @PORT@
server.max-keep-alive-idle = 600
server.max-keep-alive-requests = 1000000
server.document-root = "@FOLDER@"
server.errorlog = "@FOLDER@/error.log"
server.http-parseopts = ("header-strict" => "disable", "host-strict" => "disable", "host-normalize" => "disable",
                         "url-normalize-unreserved" => "disable", "url-normalize-required" => "disable",
                         "url-ctrls-reject" => "disable", "method-get-body" => "enable")
accesslog.filename = "|/usr/bin/tee -a @FOLDER@/access.log"
accesslog.format = "%s %r"
proxy.server = ("" => (("host" => "127.0.0.1", "port" => @APP_PORT@)))
"""


JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m",
        "-Dcatalina.home=/usr/share/tomcat10", "-Dcatalina.base=@FOLDER@", "-Djava.io.tmpdir=@FOLDER@",
        "-cp", "/usr/share/tomcat10/bin/bootstrap.jar:/usr/share/tomcat10/bin/tomcat-juli.jar",
        "org.apache.catalina.startup.Bootstrap", "start"]

# It starts faster without a look into its libraries.
CONTEXT = '<Context><JarScanner scanClassPath="false" scanManifest="false"/></Context>'

# Name: the command, and the files that it finds in its folder.
SERVERS = {
    "nginx": (["nginx", "-p", "@FOLDER@", "-c", "@FOLDER@/config", "-e", "@FOLDER@/error.log"], {"config": NGINX}),
    "apache2": (["apache2", "-d", "@FOLDER@", "-f", "@FOLDER@/config", "-D", "FOREGROUND"], {"config": APACHE}),
    "lighttpd": (["lighttpd", "-D", "-f", "@FOLDER@/config"], {"config": LIGHTTPD}),
    "gunicorn": (["gunicorn", "-b", "127.0.0.1:@PORT@", "-k", "gthread", "--threads", "4", "--keep-alive", "600",
                  "--strip-header-spaces", "--log-level", "debug", "--chdir", "@FOLDER@", "wsgi:app"],
                 {"wsgi.py": WSGI}),
    "tomcat10": (JAVA, {"conf/server.xml": TOMCAT, "conf/context.xml": CONTEXT, "webapps/ROOT/app.jsp": JSP,
                        "webapps/ROOT/WEB-INF/web.xml": WEB_XML}),
    "php": (["php", "-S", "127.0.0.1:@PORT@", "@FOLDER@/app.php"], {"app.php": PHP}),
    "nodejs": (["node", "--insecure-http-parser", "@FOLDER@/app.js"], {"app.js": NODE}),
}
PASS_ON = ("nginx", "apache2", "lighttpd")


class WebServer:
    """Starts at once; serves until close()."""

    def __init__(self, name: str, folder: pathlib.Path):
        self._folder, self._known, port = folder, {}, free_port()
        self._app = RecordingUpstream(answer) if name in PASS_ON else None
        fill = {"@FOLDER@": str(folder), "@PORT@": str(port)}
        if self._app:
            fill["@APP_PORT@"] = self._app.address.rpartition(":")[2]
        command, files = SERVERS[name]
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(filled(text, fill))
        (folder / "record").touch()
        self._program = AppProgram(*(filled(part, fill) for part in command), folder=folder, port=port)
        self.address = self._program.address

    def seen(self) -> list[dict[str, str]]:
        """What its app was asked since this was asked last, bodies included."""
        if self._app:
            assert not self._app.violations, self._app.violations
            return self._new("seen", [told(request) for request in self._app.requests() if request.complete])
        return [read(line) for line in self._new("seen", (self._folder / "record").read_bytes().split())]

    def complaints(self) -> list[str]:
        """What it took for no HTTP, as its logs tell, since this was asked last."""
        access = self._folder / "access.log"
        lines = self._new("said", self._program.output().splitlines())
        lines += self._new("logged", access.read_text().splitlines() if access.exists() else [])
        return [line for line in lines if re.match(r"4\d\d |refused: |.*\binvalid\b", line, re.IGNORECASE)]

    def _new(self, what: str, items: list) -> list:
        known, self._known[what] = self._known.get(what, 0), len(items)
        return items[known:]

    def close(self) -> None:
        self._program.close()
        if self._app:
            self._app.close()


def filled(text: str, values: dict[str, str]) -> str:
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


def told(request: http1.Request) -> dict[str, str]:
    return dict(zip(TOLD, (request.method, request.target, ",".join(request.all("Host")),
                           ",".join(request.all("X-User-Id")), request.body.decode("latin-1"))))


def read(line: bytes) -> dict[str, str]:
    return dict(parse_qsl(line.decode(), keep_blank_values=True, strict_parsing=True, encoding="latin-1"))


def answer(exchange) -> None:
    """Of the app behind a server that passes on; lighttpd waits for the end of the connection that it asks for."""
    exchange.read_body()
    line = urlencode(told(exchange.request), encoding="latin-1").encode()
    whole = http1.response_bytes(200, body=line)
    exchange.send(whole[:-len(line)] if exchange.request.method == "HEAD" else whole)
    if exchange.request.one("Connection") == "close":
        exchange.close()
