<?php // php -S 127.0.0.1:9000 app.php
if (strtok($_SERVER['REQUEST_URI'], '?') !== '/login') {
    echo 'Hello ' . htmlspecialchars(rawurldecode($_SERVER['HTTP_X_USER_ID']));
} elseif ($_SERVER['REQUEST_METHOD'] === 'POST') {
    // Check the password here.
    $next = $_GET['next'] ?? '/';
    $is_local = preg_match('#^/(?![/\\\\])[!-~]*$#D', $next);  // a page of this site, and of no other
    http_response_code(303);
    header('Location: ' . ($is_local ? $next : '/'));
    header('X-Session-User: ' . $_POST['user']);
} else {  // the form is sent to this address, with its ?next=
    echo '<form method="post">User <input name="user"> Password <input name="password" type="password"> ',
         '<button>Log in</button></form>';
}
